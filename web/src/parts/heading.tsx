/** A page's heading. Whoever comes from another page is put there: a keyboard goes on from it, a screen reader reads it. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

let travelled = false; // where a visit begins, the browser itself says where to read from

/** Another page is shown now. */
export function arrive(): void {
  travelled = true;
  document.querySelector("h1")?.focus({ preventScroll: true });
}

/** What had the focus is gone, and it is nowhere: begin at the heading. */
export function refocus(): void {
  if (document.activeElement === document.body) document.querySelector("h1")?.focus({ preventScroll: true });
}

export function Heading({ children, unseen }: { children: ComponentChildren; unseen?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (travelled && document.activeElement === document.body) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1} class={unseen ? "unseen" : undefined}>
      {children}
    </h1>
  );
}

/** A page, until there is something to show of it. */
export function Loading({ title, label }: { title: string; label: string }) {
  return (
    <>
      <Heading unseen>{title}</Heading>
      <div class="sheet skeleton" role="status" aria-label={label} />
    </>
  );
}
