/** `/handoff#code`: this device takes an order over. The code leaves the address before anything is asked. */

import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { useEffect } from "preact/hooks";
import * as api from "../api";
import { type Problem, problemOf } from "../api";
import { Heading } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { ProblemState, State } from "../parts/state";
import { adopt } from "../store";
import { t } from "../words";

export default function HandOff() {
  const words = t().handOff;
  const { route } = useLocation();
  const code = useSignal<string | undefined>(undefined);
  const problem = useSignal<Problem | undefined>(undefined);
  useTitle(words.title);

  const take = async () => {
    problem.value = undefined;
    try {
      const taken = await api.takeOver(code.value ?? "");
      await adopt(taken.trade_id, taken.token);
      route(`/orders/${taken.trade_id}`, true);
    } catch (error) {
      problem.value = problemOf(error);
    }
  };

  useEffect(() => {
    const read = () => {
      const fragment = decoded(location.hash.slice(1));
      if (fragment === "main") return void (code.value ??= ""); // the way past the menu, which is no code
      code.value = fragment;
      if (!code.value) return;
      history.replaceState(history.state, "", location.pathname);
      void take();
    };
    read();
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);

  const find = (
    <a class="button quiet" href="/find">
      {t().order.find}
    </a>
  );
  return (
    <>
      {!problem.value && code.value === undefined && <Heading unseen>{words.title}</Heading>}
      {problem.value?.code === "not_found" && (
        <div role="alert">
          <State page title={words.failed} next={words.failedNext} action={find} />
        </div>
      )}
      {problem.value && problem.value.code !== "not_found" && (
        <ProblemState page problem={problem.value} retry={() => void take()} />
      )}
      {!problem.value && code.value === "" && <State page title={words.empty} next={words.emptyNext} action={find} />}
      {!problem.value && code.value && (
        <div role="status">
          <State page title={words.taking} />
        </div>
      )}
    </>
  );
}

/** What was not encoded as it should be is no code of ours: the API says so. */
function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}
