/** `/find`: an order by its number and query password, on any device. */

import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import * as api from "../api";
import { type Problem, problemOf } from "../api";
import { Field, focusWrong } from "../parts/field";
import { Heading } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { ProblemNote } from "../parts/state";
import { adopt } from "../store";
import { t } from "../words";

const TRADE_ID = /^[a-z2-7]{26}$/;

export default function Find({ query }: { query: Record<string, string> }) {
  const words = t().find;
  const { route } = useLocation();
  const number = useSignal(query["order"] ?? "");
  const password = useSignal("");
  const checked = useSignal(false);
  const finding = useSignal(false);
  const problem = useSignal<Problem | undefined>(undefined);
  useTitle(words.title);

  const tradeId = number.value.trim().toLowerCase();
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    if (finding.value) return;
    checked.value = true;
    if (!TRADE_ID.test(tradeId) || !password.value) return focusWrong(event.currentTarget);
    finding.value = true;
    problem.value = undefined;
    try {
      const found = await api.lookUp(tradeId, password.value);
      await adopt(found.trade_id, found.token);
      route(`/orders/${found.trade_id}`);
    } catch (error) {
      problem.value = problemOf(error);
      finding.value = false;
    }
  };

  return (
    <form class="narrow panel" onSubmit={submit} noValidate>
      <Heading>{words.title}</Heading>
      <p class="lead">{words.lead}</p>
      <Field
        label={words.number}
        value={number}
        hint={words.numberHint}
        wrong={checked.value && !TRADE_ID.test(tradeId) ? words.numberWrong : undefined}
        class="mono"
        autoComplete="off"
        autoCapitalize="none"
        spellcheck={false}
        maxLength={40}
      />
      <Field
        label={words.password}
        value={password}
        wrong={checked.value && !password.value ? words.passwordMissing : undefined}
        type="password"
        autoComplete="current-password"
      />
      <ProblemNote problem={problem.value} />
      <button type="submit" class="button wide-button" aria-busy={finding.value}>
        {finding.value ? words.finding : words.submit}
      </button>
      <small class="hint">{words.noPassword}</small>
    </form>
  );
}
