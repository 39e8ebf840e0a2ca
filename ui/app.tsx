/** The frame: navigation, the screen of the address, the search palette, keys. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useMay } from './access.ts';
import { locked, setToken } from './api.ts';
import { connection, jobs, setPaused, watch, workers } from './live.ts';
import { Allowed } from './parts/allowed.tsx';
import { Messages } from './parts/basics.tsx';
import type { IconName } from './parts/icon.tsx';
import { Icon } from './parts/icon.tsx';
import { Palette } from './parts/palette.tsx';
import { DeadLettersPage } from './pages/dead-letters.tsx';
import { EditorPage } from './pages/editor.tsx';
import { EventsPage } from './pages/events.tsx';
import { JobPage } from './pages/job.tsx';
import { OverviewPage } from './pages/overview.tsx';
import { TablesPage } from './pages/tables.tsx';
import { TopicPage, TopicsPage } from './pages/topics.tsx';
import { WorkersPage } from './pages/workers.tsx';
import { go, place } from './router.ts';
import { useStore } from './store.ts';
import { theme } from './theme.ts';

interface Screen {
  readonly href: string;
  readonly title: string;
  readonly icon: IconName;
  /** With g before it. */
  readonly key: string;
}

export const screens: readonly Screen[] = [
  { href: '/', title: 'Overview', icon: 'overview', key: 'o' },
  { href: '/workers', title: 'Workers', icon: 'workers', key: 'w' },
  { href: '/topics', title: 'Topics', icon: 'topics', key: 't' },
  { href: '/tables', title: 'Tables', icon: 'tables', key: 'b' },
  { href: '/dead-letters', title: 'Dead letters', icon: 'letters', key: 'd' },
  { href: '/events', title: 'Events and logs', icon: 'events', key: 'e' },
  { href: '/editor', title: 'New job', icon: 'add', key: 'n' },
];

const connectionWords = {
  connecting: 'Connecting',
  live: 'Live',
  asking: 'Live',
  lost: 'No answer',
  paused: 'Paused',
} as const;

export function App(): JSX.Element {
  const { path } = useStore(place);
  const needsToken = useStore(locked);
  const [searching, setSearching] = useState(false);
  const [menu, setMenu] = useState(false);
  const job = path[0] === 'jobs' ? (path[1] ?? null) : null;

  useEffect(
    () => watch(job, path[0] === 'events' || path[2] === 'logs' ? ['events', 'logs'] : ['events']),
    [job, path[0], path[2]],
  );
  useEffect(() => setMenu(false), [path]);
  useEffect(() => keys(() => setSearching(true)), []);
  useEffect(() => {
    const here = screens.find(({ href }) => href === `/${path[0] ?? ''}`);
    document.title = `${job ?? (path[0] === 'topics' ? path[1] : undefined) ?? here?.title ?? 'Weir'} · Weir`;
  }, [path]);

  return (
    <>
      <a class="skip" href="#main" data-plain>
        To the content
      </a>
      <div class="shell">
        <Side path={path} menu={menu} onMenu={() => setMenu(!menu)} onSearch={() => setSearching(true)} />
        <main id="main" tabIndex={-1}>
          {needsToken ? <TokenForm /> : <Page path={path} />}
        </main>
      </div>
      {searching ? <Palette screens={screens} onClose={() => setSearching(false)} /> : null}
      <Messages />
    </>
  );
}

function Page({ path }: { readonly path: readonly string[] }): JSX.Element {
  const [first, second, third] = path;
  switch (first) {
    case undefined:
      return <OverviewPage />;
    case 'jobs':
      return second === undefined ? <OverviewPage /> : <JobPage key={second} name={second} tab={third ?? ''} />;
    case 'workers':
      return <WorkersPage />;
    case 'topics':
      return second === undefined ? <TopicsPage /> : <TopicPage key={second} name={second} />;
    case 'tables':
      return <TablesPage />;
    case 'dead-letters':
      return <DeadLettersPage />;
    case 'events':
      return <EventsPage />;
    case 'editor':
      return (
        <Allowed role="submitter-declarative" what="The job editor" heading="Job editor">
          <EditorPage key={second ?? ''} job={second ?? null} />
        </Allowed>
      );
    default:
      return <OverviewPage />;
  }
}

function Side({
  path,
  menu,
  onMenu,
  onSearch,
}: {
  readonly path: readonly string[];
  readonly menu: boolean;
  readonly onMenu: () => void;
  readonly onSearch: () => void;
}): JSX.Element {
  const list = useStore(jobs);
  const crew = useStore(workers);
  const state = useStore(connection);
  const maySubmit = useMay('submitter-declarative');
  const dead = (list ?? []).reduce((sum, { counters }) => sum + counters.dead, 0);
  const counts = new Map<string, number | undefined>([
    ['/', list?.length],
    ['/workers', crew?.length],
    ['/dead-letters', dead === 0 ? undefined : dead],
  ]);
  const at = path[0] === 'jobs' ? '/' : `/${path[0] ?? ''}`;
  return (
    <header class={`side${menu ? ' open' : ''}`}>
      <a class="brand" href="/">
        <img src="/ui/icon.svg" width={24} height={24} alt="" />
        Weir
      </a>
      <button type="button" class="menu-button quiet" onClick={onMenu} aria-expanded={menu} aria-label="Menu">
        <Icon name="menu" size={20} />
      </button>
      <nav aria-label="Screens">
        {screens
          .filter(({ href }) => maySubmit || href !== '/editor')
          .map(({ href, title, icon }) => (
            <a key={href} href={href} {...(at === href ? { 'aria-current': 'page' as const } : {})}>
              <Icon name={icon} />
              {title}
              {counts.get(href) === undefined ? null : (
                <span class="n">{counts.get(href)?.toLocaleString('en-US')}</span>
              )}
            </a>
          ))}
      </nav>
      <div class="foot">
        <button type="button" onClick={onSearch}>
          <Icon name="search" /> Search <kbd class="soft">/</kbd>
        </button>
        <div class="row">
          <span class={`live live-${state}`} role="status">
            {connectionWords[state]}
          </span>
          <button
            type="button"
            class="quiet"
            onClick={() => setPaused(state !== 'paused')}
            aria-label={state === 'paused' ? 'Go on' : 'Pause live figures'}
            title={state === 'paused' ? 'Go on' : 'Pause live figures'}
          >
            <Icon name={state === 'paused' ? 'play' : 'pause'} />
          </button>
        </div>
        <div class="row">
          <a href="/metrics" data-plain>
            Metrics
          </a>
          <ThemeButton />
        </div>
      </div>
    </header>
  );
}

function ThemeButton(): JSX.Element {
  const value = useStore(theme);
  const next = value === 'auto' ? 'light' : value === 'light' ? 'dark' : 'auto';
  const words = { auto: 'Colours as the system', light: 'Light colours', dark: 'Dark colours' };
  return (
    <button
      type="button"
      class="quiet"
      onClick={() => theme.set(next)}
      aria-label={`${words[value]}; change`}
      title={words[value]}
    >
      <Icon name={value === 'auto' ? 'auto' : value === 'light' ? 'sun' : 'moon'} />
    </button>
  );
}

function TokenForm(): JSX.Element {
  const [value, setValue] = useState('');
  return (
    <form
      class="empty"
      onSubmit={(event) => {
        event.preventDefault();
        if (value.trim() !== '') setToken(value.trim());
      }}
    >
      <Icon name="info" size={22} />
      <h1>This master asks for a token</h1>
      <p>
        npm start prints an address with it. On a server it stands in the file that WEIR_TOKEN_FILE names. It is kept
        for this tab alone.
      </p>
      <label>
        <span class="hidden">Token</span>
        <input
          type="password"
          autocomplete="off"
          value={value}
          placeholder="Token"
          onInput={(event) => setValue(event.currentTarget.value)}
        />
        <button type="submit" class="primary">
          Open
        </button>
      </label>
    </form>
  );
}

/** `/` and Ctrl-K search; g and a letter goes to a screen. */
function keys(search: () => void): () => void {
  let gAt = 0;
  const press = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key === 'k') {
      event.preventDefault();
      search();
      return;
    }
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, dialog') !== null)
      return;
    if (event.key === '/') {
      event.preventDefault();
      search();
    } else if (event.key === 'g') gAt = event.timeStamp;
    else if (event.timeStamp - gAt < 1000) {
      gAt = 0;
      const screen = screens.find(({ key }) => key === event.key);
      if (screen !== undefined) go(screen.href);
    }
  };
  addEventListener('keydown', press);
  return () => removeEventListener('keydown', press);
}
