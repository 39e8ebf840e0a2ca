/** A question over the page: the browser's own dialog brings focus, Escape and the backdrop. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Command } from './basics.tsx';
import { Icon } from './icon.tsx';

export function Dialog({
  title,
  onClose,
  children,
  wide = false,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly wide?: boolean;
}): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      class={wide ? 'wide' : ''}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div class="dialog">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="quiet" onClick={onClose} aria-label="Close">
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Asks before something is done; says the same as a command. */
export function Confirm({
  title,
  children,
  action,
  danger = false,
  command,
  wide = false,
  disabled = false,
  onConfirm,
  onClose,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
  /** The verb on the button. */
  readonly action: string;
  readonly danger?: boolean;
  readonly command?: string;
  readonly wide?: boolean;
  readonly disabled?: boolean;
  /** Closes the dialog when it resolves with true. */
  readonly onConfirm: () => Promise<boolean>;
  readonly onClose: () => void;
}): JSX.Element {
  const [busy, setBusy] = useState(false);
  const confirm = async (): Promise<void> => {
    setBusy(true);
    const done = await onConfirm();
    setBusy(false);
    if (done) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose} wide={wide}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void confirm();
        }}
      >
        <div class="dialog-body">{children}</div>
        {command === undefined ? null : (
          <div class="same">
            <span>The same on the command line</span>
            <Command text={command} />
          </div>
        )}
        <footer>
          <button type="button" onClick={onClose}>
            Not now
          </button>
          <button type="submit" class={danger ? 'danger' : 'primary'} disabled={busy || disabled} autofocus>
            {busy ? 'Working …' : action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
