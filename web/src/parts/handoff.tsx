import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../api";
import { type Problem, problemOf } from "../api";
import { clock } from "../show";
import { t } from "../words";
import { copy } from "./cards";
import { useServerNow } from "./hooks";
import { Qr } from "./qr";
import { ProblemState } from "./state";

/** A QR code, or a link, with which one other device takes this order over, within two minutes. */
export function HandOffCode({ tradeId, token }: { tradeId: string; token: string }) {
  const words = t().handOff;
  const given = useSignal<{ code: string; expires_at: string } | undefined>(undefined);
  const problem = useSignal<Problem | undefined>(undefined);
  const now = useServerNow();

  const ask = async () => {
    given.value = problem.value = undefined;
    try {
      given.value = await api.handOff(tradeId, token);
    } catch (error) {
      problem.value = problemOf(error);
    }
  };
  useEffect(() => {
    void ask();
  }, []);

  if (problem.value) return <ProblemState problem={problem.value} retry={() => void ask()} />;
  const left = given.value ? Date.parse(given.value.expires_at) - now : 0;
  const link = given.value && `${location.origin}/handoff#${encodeURIComponent(given.value.code)}`;
  return (
    <div class="pay-qr">
      <p>{words.why}</p>
      {!given.value && <div class="qr skeleton" role="status" aria-label={t().loading} />}
      {link && left > 0 && (
        <>
          <Qr text={link} label={words.label} />
          <p class="clock">{words.left(clock(left))}</p>
          <button type="button" class="button quiet" onClick={() => void copy(link)}>
            {words.copyLink}
          </button>
          <p class="hint address">{link}</p>
        </>
      )}
      {link && left <= 0 && (
        <>
          <p role="status">{words.over}</p>
          <button type="button" class="button" onClick={() => void ask()}>
            {words.anew}
          </button>
        </>
      )}
    </div>
  );
}
