import type { Signal } from "@preact/signals";
import type { InputHTMLAttributes } from "preact";
import { useId } from "preact/hooks";

interface Shown {
  label: string;
  value: Signal<string>;
  hint?: string | undefined;
  wrong?: string | undefined;
  type?: "text" | "email" | "password";
  autoComplete: string;
  autoCapitalize?: "none";
  spellcheck?: boolean;
  maxLength?: number;
  class?: string;
}

/** A labelled input; its hint, and what is wrong with it, are read with it. */
export function Field({ label, value, hint, wrong, type = "text", ...input }: Shown) {
  const id = useId();
  const kind = { ...input, type } as InputHTMLAttributes<HTMLInputElement>; // its types know one `type` at a time
  const says = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...kind}
        id={id}
        value={value.value}
        onInput={(event) => (value.value = event.currentTarget.value)}
        aria-invalid={wrong ? "true" : undefined}
        aria-describedby={says || undefined}
      />
      {hint && (
        <small id={`${id}-hint`} class="hint">
          {hint}
        </small>
      )}
      {wrong && (
        <small id={`${id}-wrong`} class="wrong">
          {wrong}
        </small>
      )}
    </div>
  );
}

/** Put the reader where something has to be mended. */
export function focusWrong(form: HTMLFormElement): void {
  requestAnimationFrame(() => form.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
}
