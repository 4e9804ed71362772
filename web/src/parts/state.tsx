/** What stands where there is nothing to show: nothing yet, nothing found, or something in the way. */

import type { ComponentChildren } from "preact";
import type { Problem } from "../api";
import { explained, t } from "../words";
import { Heading } from "./heading";
import { Icon } from "./icons";

interface Said {
  /** All that there is on its page: then it is what the page is called. */
  page?: boolean;
  title: string;
  next?: string;
  action?: ComponentChildren;
}

export function State({ page, title, next, action }: Said) {
  return (
    <div class="state">
      <span class="state-mark">
        <Icon name="ticket" />
      </span>
      {page ? <Heading>{title}</Heading> : <h2>{title}</h2>}
      {next && <p>{next}</p>}
      {action && <div class="row">{action}</div>}
    </div>
  );
}

interface Stopped {
  page?: boolean;
  problem: Problem;
  title?: string;
  retry?: () => void;
}

/** A whole page's or panel's problem. */
export function ProblemState({ page = false, problem, title, retry }: Stopped) {
  const [say, next] = explained(problem.code);
  return (
    <div role="alert">
      <State
        page={page}
        title={title ?? say}
        next={title ? `${say}${t().code === "en" ? ". " : "。"}${next}` : next}
        action={
          retry && (
            <button type="button" class="button" onClick={retry}>
              {t().retry}
            </button>
          )
        }
      />
    </div>
  );
}

/** One action's problem, beside it. */
export function ProblemNote({ problem }: { problem: Problem | undefined }) {
  if (!problem) return null;
  const [say, next] = explained(problem.code);
  return (
    <p class="note bad" role="alert">
      <strong>{say}</strong> {next}
    </p>
  );
}
