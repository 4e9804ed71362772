/**
 * The browser's own modal dialog: it traps focus, closes on Escape and gives focus back. What is said meanwhile is said
 * inside it: nobody hears or sees what is outside.
 */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../words";
import { Announcer } from "./announce";
import { Icon } from "./icons";

interface Shown {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, open, onClose, children }: Shown) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  // Before the next key: what had the focus then is what gets it back.
  useLayoutEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={name}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      {open && (
        <div class="dialog">
          <header>
            <h2 id={name}>{title}</h2>
            <button type="button" class="plain icon-only" aria-label={t().close} onClick={onClose}>
              <Icon name="cross" />
            </button>
          </header>
          {children}
          <Announcer />
        </div>
      )}
    </dialog>
  );
}

interface Question {
  title: string;
  why: string;
  yes: string;
  no: string;
  open: boolean;
  danger?: boolean;
  onYes: () => void;
  onClose: () => void;
}

/** A question before something that cannot be taken back. */
export function Sure({ title, why, yes, no, open, danger, onYes, onClose }: Question) {
  const answer = () => {
    onYes();
    onClose();
  };
  return (
    <Dialog title={title} open={open} onClose={onClose}>
      <p>{why}</p>
      <div class="row end">
        <button type="button" class="button quiet" onClick={onClose}>
          {no}
        </button>
        <button type="button" class={danger ? "button danger" : "button"} onClick={answer}>
          {yes}
        </button>
      </div>
    </Dialog>
  );
}
