/** The ways to pay that fit this terminal and this currency. */

import type { Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { fitting } from "../catalogue";
import { called, channels, load, problem } from "../channels";
import { terminal } from "../terminal";
import { t } from "../words";
import { ProblemState, State } from "./state";

export function ChannelPicker({ currency, chosen }: { currency: string; chosen: Signal<string> }) {
  useEffect(() => {
    void load();
  }, []);
  const fit = channels.value && fitting(channels.value, terminal(), currency);
  const first = fit?.[0]?.channel;
  useEffect(() => {
    if (first && !fit.some((each) => each.channel === chosen.value)) chosen.value = first;
  }, [first]);
  if (problem.value && !fit) return <ProblemState problem={problem.value} retry={() => void load()} />;
  if (!fit) return <div class="skeleton line" role="status" aria-label={t().loading} />;
  if (fit.length === 0) return <State title={t().checkout.noChannels} next={t().checkout.noChannelsNext} />;
  return (
    <fieldset class="choices">
      <legend>{t().checkout.pay}</legend>
      {fit.map(({ channel, provider }) => (
        <label key={channel} class="choice">
          <input
            type="radio"
            name="channel"
            value={channel}
            checked={chosen.value === channel}
            onChange={() => (chosen.value = channel)}
          />
          <span class={`channel-mark of-${provider}`} aria-hidden="true">
            {[...called(channel)][0]}
          </span>
          <span>{called(channel)}</span>
        </label>
      ))}
    </fieldset>
  );
}
