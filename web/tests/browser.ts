/** What a page finds around it: a server that answers as told, push connections to hold in hand, a page to hide. */

import { vi } from "vitest";

export interface Asked {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
}

type Answers = (asked: Asked) => Response | Promise<Response>;

/** Answers what is asked of the API below `/api`; `/config.json` says where the push is. The list is what was asked. */
export function server(answers: Answers, push: string | undefined = "wss://shop.example/ws"): Asked[] {
  const asked: Asked[] = [];
  vi.stubGlobal("fetch", async (path: string, { method = "GET", headers = {}, body }: RequestInit = {}) => {
    if (path === "/config.json") return json({ api: "/api", ...(push ? { push } : {}) });
    const given = headers as Record<string, string>;
    const one = { method, path: path.replace(/^\/api/, ""), headers: given, body: body ? JSON.parse(String(body)) : undefined };
    asked.push(one);
    return answers(one);
  });
  return asked;
}

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });

export const problem = (code: string, status: number, headers: Record<string, string> = {}): Response =>
  json({ code, detail: "…" }, status, headers);

/** A push connection whose other end is the test. */
export class Socket {
  static readonly OPEN = 1;
  static all: Socket[] = [];
  static get last(): Socket {
    return Socket.all.at(-1) as Socket;
  }

  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  constructor(readonly address: string) {
    Socket.all.push(this);
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  tell(message: unknown): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  /** Closed by the other end, or by the network. */
  lose(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  close(): void {
    this.readyState = 3;
  }
}

export function sockets(): void {
  Socket.all = [];
  vi.stubGlobal("WebSocket", Socket);
}

export function show(state: "visible" | "hidden"): void {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
  document.dispatchEvent(new Event("visibilitychange"));
}

/** Until it is so: what is waited for happens in promises of other code's, on a machine that has other work too. */
export const eventually = <T>(so: () => T | Promise<T>): Promise<T> => vi.waitFor(so, { timeout: 20_000, interval: 10 });
