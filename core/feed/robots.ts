/** robots.txt (RFC 9309): which paths of a host may be read, and how fast. */

interface Rule {
  readonly allow: boolean;
  readonly path: string;
  readonly pattern: RegExp;
}

export interface RobotRules {
  /** Path with parameters, beginning with a slash. */
  allows(path: string): boolean;
  /** What `Crawl-delay` asks for, ms; 0 = nothing. */
  readonly delayMs: number;
}

/** Longer waits than this between two pages are not kept, ms. */
const DELAY_MAX_MS = 300_000;

/** The rules of the group for `agent`, or of the one for everybody. The longest matching path decides, then Allow. */
export function robotRules(text: string, agent: string): RobotRules {
  const groups = groupsOf(text);
  const name = agent.toLowerCase();
  const named = groups.filter(({ agents }) => agents.some((one) => one !== '*' && name.includes(one)));
  const mine = named.length > 0 ? named : groups.filter(({ agents }) => agents.includes('*'));
  const rules = mine.flatMap((group) => group.rules).toSorted((a, b) => b.path.length - a.path.length);
  const delayMs = Math.min(DELAY_MAX_MS, Math.max(0, ...mine.map((group) => group.delayMs)));
  return {
    delayMs,
    allows: (path) => {
      const matching = rules.filter(({ pattern }) => pattern.test(path));
      const length = matching[0]?.path.length;
      return length === undefined || matching.some((rule) => rule.path.length === length && rule.allow);
    },
  };
}

interface Group {
  readonly agents: string[];
  readonly rules: Rule[];
  delayMs: number;
}

function groupsOf(text: string): Group[] {
  const groups: Group[] = [];
  let group: Group | undefined;
  let isHead = false;
  for (const line of text.split(/\r\n|\r|\n/)) {
    const match = /^\s*([A-Za-z-]+)\s*:\s*([^#]*)/.exec(line);
    if (match === null) continue;
    const name = (match[1] ?? '').toLowerCase();
    const value = (match[2] ?? '').trim();
    if (name === 'user-agent') {
      if (group === undefined || !isHead) groups.push((group = { agents: [], rules: [], delayMs: 0 }));
      group.agents.push(value.toLowerCase());
      isHead = true;
      continue;
    }
    isHead = false;
    if (group === undefined) continue;
    if (name === 'crawl-delay' && Number(value) > 0) group.delayMs = Number(value) * 1000;
    // An empty Disallow forbids nothing.
    if ((name === 'allow' || name === 'disallow') && value !== '')
      group.rules.push({ allow: name === 'allow', path: value, pattern: patternOf(value) });
  }
  return groups;
}

/** `*` stands for anything, `$` at the end for the end. */
function patternOf(path: string): RegExp {
  const anchored = path.endsWith('$');
  const parts = (anchored ? path.slice(0, -1) : path)
    .split('*')
    .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}${anchored ? '$' : ''}`);
}
