import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Problem } from "../src/api";
import { type Link, type Mode, follow, reconnectPause } from "../src/push";
import { Socket, show, sockets } from "./browser";
import { pushed } from "./samples";

const SECOND = 1000;

let stop: () => void = () => undefined;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1); // the longest of the pauses
  sockets();
});

afterEach(() => {
  stop();
  vi.useRealTimers();
});

/** Follows with a link that counts; `more` takes the place of what it does. */
async function following(more: Partial<Link> = {}) {
  const modes: Mode[] = [];
  const link = {
    address: vi.fn(async (): Promise<string | undefined> => `wss://shop.example/ws?ticket=${link.address.mock.calls.length}`),
    refresh: vi.fn(async () => false),
    receive: vi.fn(),
    refused: vi.fn(),
    mode: (mode: Mode) => void modes.push(mode),
    ...more,
  } as Link & Record<"address" | "refresh" | "receive" | "refused", ReturnType<typeof vi.fn>>;
  stop = follow(link);
  await settled();
  return { link, modes, mode: () => modes.at(-1) };
}

const settled = () => vi.advanceTimersByTimeAsync(0);
const after = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

describe("a connection", () => {
  test("once open, brings what was committed before with one look, and is live", async () => {
    const { link, mode } = await following();
    expect(link.refresh).not.toHaveBeenCalled();
    Socket.last.open();
    await settled();
    expect(link.refresh).toHaveBeenCalledTimes(1);
    expect(mode()).toEqual({ kind: "live" });
  });

  test("tells what is pushed, and passes over what is no message", async () => {
    const { link } = await following();
    Socket.last.open();
    for (const noise of ["", "{", "null", "{}", '{"message":"Internal server error"}']) Socket.last.tell(noise);
    expect(link.receive).not.toHaveBeenCalled();
    Socket.last.tell(pushed(2));
    expect(link.receive).toHaveBeenCalledExactlyOnceWith(pushed(2));
  });

  test("each has a ticket of its own: a ticket is good once", async () => {
    await following();
    for (let n = 0; n < 3; n++) {
      Socket.last.open();
      Socket.last.lose();
      await after(SECOND);
    }
    const addresses = Socket.all.map((each) => each.address);
    expect(addresses).toHaveLength(4);
    expect(new Set(addresses).size).toBe(4);
  });

  test("that does not open within ten seconds is given up", async () => {
    const { mode } = await following();
    const slow = Socket.last;
    await after(9 * SECOND);
    expect(slow.readyState).toBe(0);
    await after(SECOND);
    expect(slow.readyState).toBe(3);
    expect(mode()?.kind).toBe("asking");
    await after(SECOND);
    expect(Socket.all).toHaveLength(2);
  });

  test("that is silent is looked behind after half a minute, then ever more seldom", async () => {
    const { link } = await following();
    Socket.last.open();
    await settled();
    for (const [pause, looks] of [[60, 2], [120, 3], [240, 4], [300, 5], [300, 6]] as const) {
      await after(pause * SECOND - 1);
      expect(link.refresh).toHaveBeenCalledTimes(looks - 1);
      await after(1);
      expect(link.refresh).toHaveBeenCalledTimes(looks);
    }
  });

  test("behind which a look fails is dropped: nobody knows what it missed", async () => {
    const { link, mode } = await following();
    Socket.last.open();
    await settled();
    link.refresh.mockRejectedValueOnce(new Problem("offline"));
    await after(60 * SECOND);
    expect(Socket.last.readyState).toBe(3);
    expect(mode()).toEqual({ kind: "asking", seconds: 2 });
    await after(SECOND);
    expect(Socket.all).toHaveLength(2);
  });
});

describe("without a connection", () => {
  const broken = async (): Promise<undefined> => {
    throw new Problem("unavailable", 503);
  };

  test("it is tried again after pauses that double up to half a minute", async () => {
    const { link } = await following({ address: vi.fn(broken) });
    const seconds = [1, 2, 4, 8, 16, 30, 30];
    for (const [n, pause] of seconds.entries()) {
      await after(pause * SECOND - 1);
      expect(link.address).toHaveBeenCalledTimes(n + 1);
      await after(1);
      expect(link.address).toHaveBeenCalledTimes(n + 2);
    }
  });

  test.each([
    ["a shop without push", async () => undefined],
    ["tickets that are refused", broken],
  ])("the order is asked for ever more seldom, and the page says how often: %s", async (_, address) => {
    const { link, mode } = await following({ address: vi.fn(address) });
    expect(Socket.all).toEqual([]);
    for (const [n, pause] of [2, 3, 4.5, 6.75, 10.125, 15, 15].entries()) {
      expect(mode()).toEqual({ kind: "asking", seconds: Math.round(pause) });
      await after(pause * SECOND - 1);
      expect(link.refresh).toHaveBeenCalledTimes(n);
      await after(1);
      expect(link.refresh).toHaveBeenCalledTimes(n + 1);
    }
  });

  test("news makes the looks frequent again", async () => {
    const { link } = await following({ address: vi.fn(async () => undefined) });
    await after(5 * SECOND);
    link.refresh.mockResolvedValueOnce(true);
    await after(4.5 * SECOND);
    expect(link.refresh).toHaveBeenCalledTimes(3);
    await after(2 * SECOND);
    expect(link.refresh).toHaveBeenCalledTimes(4);
  });

  test("a server that names a time is not asked before", async () => {
    const { link, mode } = await following({ address: vi.fn(broken) });
    link.refresh.mockRejectedValueOnce(new Problem("busy", 429, "", 40));
    await after(2 * SECOND);
    expect(mode()).toEqual({ kind: "asking", seconds: 40 });
    await after(40 * SECOND - 1);
    expect(link.refresh).toHaveBeenCalledTimes(1);
    await after(1);
    expect(link.refresh).toHaveBeenCalledTimes(2);
  });

  test("after a live one, the looks begin anew", async () => {
    const { link, mode } = await following();
    Socket.last.open();
    await after(200 * SECOND);
    const looks = link.refresh.mock.calls.length;
    Socket.last.lose();
    expect(mode()).toEqual({ kind: "asking", seconds: 2 });
    link.address.mockImplementation(broken);
    await after(2 * SECOND);
    expect(link.refresh).toHaveBeenCalledTimes(looks + 1);
  });

  test("the network's return is taken at once", async () => {
    const { link } = await following({ address: vi.fn(broken) });
    await after(20 * SECOND);
    const tries = link.address.mock.calls.length;
    window.dispatchEvent(new Event("online"));
    await settled();
    expect(link.address).toHaveBeenCalledTimes(tries + 1);
  });
});

describe("while the page is hidden", () => {
  test("nothing runs, and when it is seen again a new connection is made", async () => {
    const { link, mode } = await following();
    Socket.last.open();
    await settled();
    show("hidden");
    expect(Socket.last.readyState).toBe(3);
    expect(mode()).toEqual({ kind: "paused" });
    await after(3600 * SECOND);
    expect(link.refresh).toHaveBeenCalledTimes(1);
    expect(Socket.all).toHaveLength(1);
    show("visible");
    await settled();
    expect(Socket.all).toHaveLength(2);
    expect(Socket.all[0]?.address).not.toBe(Socket.last.address);
  });

  test("a ticket that comes then opens nothing", async () => {
    let give: (address: string) => void = () => undefined;
    await following({ address: vi.fn(() => new Promise<string>((done) => (give = done))) });
    show("hidden");
    give("wss://shop.example/ws?ticket=late");
    await after(60 * SECOND);
    expect(Socket.all).toEqual([]);
  });
});

test.each([
  ["unauthorized", 401],
  ["not_found", 404],
])("a token that is good for nothing any more (%s) ends it all, and the page is told", async (code, status) => {
  const gone = new Problem(code, status);
  const { link, mode } = await following();
  link.refresh.mockRejectedValue(gone);
  Socket.last.open();
  await settled();
  expect(link.refused).toHaveBeenCalledExactlyOnceWith(gone);
  expect(mode()).toEqual({ kind: "ended" });
  expect(Socket.last.readyState).toBe(3);
  window.dispatchEvent(new Event("online"));
  show("visible");
  await after(3600 * SECOND);
  expect(Socket.all).toHaveLength(1);
  expect(link.refresh).toHaveBeenCalledTimes(1);
});

test("who stops following hears and asks nothing more", async () => {
  const { link } = await following();
  Socket.last.open();
  await settled();
  stop();
  Socket.last.tell(pushed(2));
  show("visible");
  await after(3600 * SECOND);
  expect(link.receive).not.toHaveBeenCalled();
  expect(link.refresh).toHaveBeenCalledTimes(1);
});

test("pauses between tries are nowhere below their half: not everybody comes back at once", () => {
  expect([reconnectPause(0, 0), reconnectPause(0, 1)]).toEqual([500, 1000]);
  expect([reconnectPause(9, 0), reconnectPause(9, 1)]).toEqual([15_000, 30_000]);
});
