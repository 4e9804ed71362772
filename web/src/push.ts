/**
 * One order's live updates: a one-use ticket opens a WebSocket, and after it is open one conditional GET brings what
 * was committed before; what is committed after is pushed. While there is no connection the same GET is asked with
 * growing pauses, and `mode` says so. Nothing runs while the page is hidden.
 */

import { Problem } from "./api";
import type { Pushed } from "./shapes";

export type Mode =
  | { kind: "connecting" | "live" | "paused" | "ended" }
  | { kind: "asking"; seconds: number }; // between two looks

export interface Link {
  /** The push address with a fresh ticket; undefined where the shop has no push. */
  address(): Promise<string | undefined>;
  /** The conditional GET; whether it brought news. */
  refresh(): Promise<boolean>;
  receive(message: Pushed): void;
  mode(mode: Mode): void;
  /** The order's token is good for nothing any more. */
  refused(problem: Problem): void;
}

const SECOND = 1000;

/** Milliseconds until the next try to connect: doubling up to half a minute, each anywhere in its upper half. */
export const reconnectPause = (tries: number, random = Math.random()): number =>
  Math.min(30 * SECOND, SECOND * 2 ** tries) * (0.5 + random / 2);

/** Milliseconds until the next look without push: 2 s to 15 s. */
export const askPause = (looks: number): number => Math.round(Math.min(15 * SECOND, 2 * SECOND * 1.5 ** looks));

/** Milliseconds until a live connection is mistrusted: a network that vanished without a word closes nothing. */
export const doubtPause = (looks: number): number => Math.min(300 * SECOND, 30 * SECOND * 2 ** looks);

const OPENING = 10 * SECOND;

/** Follow until the answered function is called. */
export function follow(link: Link): () => void {
  let socket: WebSocket | undefined;
  let connecting = false;
  let tries = 0;
  let looks = 0;
  let ended = false;
  let round = 0; // what a round began does not touch the next one
  let connectTimer: ReturnType<typeof setTimeout> | undefined;
  let lookTimer: ReturnType<typeof setTimeout> | undefined;

  const dead = (problem: unknown): boolean => {
    if (!(problem instanceof Problem) || (problem.status !== 401 && problem.status !== 404)) return false;
    stop();
    link.mode({ kind: "ended" });
    link.refused(problem);
    return true;
  };

  const look = async (): Promise<void> => {
    const mine = round;
    let more = 0;
    try {
      looks = (await link.refresh()) ? 0 : looks + 1;
    } catch (problem) {
      if (mine !== round || dead(problem)) return;
      looks += 1;
      more = problem instanceof Problem ? problem.retryAfter * SECOND : 0;
      if (socket?.readyState === WebSocket.OPEN) return drop(); // connected, and yet it cannot know what it missed
    }
    if (mine === round) lookLater(more);
  };

  const lookLater = (least = 0): void => {
    clearTimeout(lookTimer);
    const live = socket?.readyState === WebSocket.OPEN;
    const pause = Math.max(least, live ? doubtPause(looks) : askPause(looks));
    if (!live) link.mode({ kind: "asking", seconds: Math.round(pause / SECOND) });
    lookTimer = setTimeout(() => void look(), pause);
  };

  const lost = (): void => {
    looks = 0;
    lookLater();
    clearTimeout(connectTimer);
    connectTimer = setTimeout(() => void connect(), reconnectPause(tries++));
  };

  const drop = (): void => {
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    socket = undefined;
    lost();
  };

  const connect = async (): Promise<void> => {
    if (connecting || socket) return;
    const mine = round;
    connecting = true;
    let address: string | undefined;
    try {
      address = await link.address();
    } catch (problem) {
      if (mine === round && !dead(problem)) lost();
      return;
    } finally {
      if (mine === round) connecting = false;
    }
    if (mine !== round) return;
    if (!address) return lost();
    const opening = new WebSocket(address);
    socket = opening;
    const tooLong = setTimeout(() => socket === opening && drop(), OPENING);
    opening.onopen = () => {
      clearTimeout(tooLong);
      clearTimeout(lookTimer);
      tries = looks = 0;
      link.mode({ kind: "live" });
      void look();
    };
    opening.onmessage = ({ data }) => {
      const message = parsed(data);
      if (message) link.receive(message);
    };
    opening.onclose = () => {
      clearTimeout(tooLong);
      if (socket === opening) drop();
    };
  };

  const pause = (): void => {
    round += 1;
    connecting = false;
    clearTimeout(connectTimer);
    clearTimeout(lookTimer);
    if (socket) hangUp(socket);
    socket = undefined;
  };

  const resume = (): void => {
    if (ended) return;
    pause();
    if (document.visibilityState === "hidden") return link.mode({ kind: "paused" });
    tries = looks = 0;
    link.mode({ kind: "connecting" });
    void connect();
  };

  const stop = (): void => {
    ended = true;
    pause();
    document.removeEventListener("visibilitychange", resume);
    window.removeEventListener("online", resume);
  };

  document.addEventListener("visibilitychange", resume);
  window.addEventListener("online", resume);
  resume();
  return stop;
}

/** One that is not open yet is closed as soon as it is: closed before, the browser would complain of it. */
function hangUp(socket: WebSocket): void {
  socket.onmessage = socket.onclose = null;
  socket.onopen = () => socket.close();
  if (socket.readyState === WebSocket.OPEN) socket.close();
}

function parsed(data: unknown): Pushed | undefined {
  try {
    const message = JSON.parse(String(data)) as Partial<Pushed>;
    return message.trade_id && message.version && message.order && message.change ? (message as Pushed) : undefined;
  } catch {
    return undefined;
  }
}
