import { expect, test } from "vitest";
import { later, pushed as merged } from "../src/merge";
import type { Order } from "../src/shapes";
import { TRADE, order, pushed, versions } from "./samples";

test("the next change is shown, with its line in the timeline", () => {
  const news = merged(order(1), pushed(2));
  expect(news?.gap).toBe(false);
  expect(news?.order).toEqual(order(2));
});

test.each([1, 2, 3])("what a message of version %i tells is no news to who knows version 3", (version) => {
  expect(merged(order(3), pushed(version))).toBeUndefined();
});

test("another order's message is none of this one's business", () => {
  expect(merged(order(1), { ...pushed(2), trade_id: TRADE.replace("m", "n") })).toBeUndefined();
});

test("a message that skips a version is shown, and says that something is missing", () => {
  const news = merged(order(1), pushed(3));
  expect(news?.order.status).toBe("delivered");
  expect(news?.gap).toBe(true);
  expect(versions(news?.order as Order)).toEqual([1, 3]);
});

test.each([
  [1, 3, 3],
  [3, 1, 3],
  [2, 2, 2],
])("of versions %i and %i the answer is %i, whichever came first", (known, told, shown) => {
  expect(later(order(known), order(told)).version).toBe(shown);
});

test("an answer to who knows nothing is all that is known", () => {
  expect(later(undefined, order(1))).toEqual(order(1));
});

test("in whatever order and however often messages and answers come, nothing goes back and the last state stays", () => {
  const arrivals = [2, 3, 3, 4].flatMap((version) => [
    (known: Order) => merged(known, pushed(version))?.order ?? known,
    (known: Order) => later(known, order(version)),
  ]);
  for (const some of permutations(arrivals.slice(0, 6))) {
    const seen = [...some, ...arrivals.slice(6)].reduce(
      (orders, arrives) => [...orders, arrives(orders.at(-1) as Order)],
      [order(1)],
    );
    const shown = seen.map((each) => each.version);
    expect(shown).toEqual([...shown].sort());
    expect(seen.at(-1)?.status).toBe("completed");
  }
});

function* permutations<T>(all: T[]): Generator<T[]> {
  if (all.length < 2) yield all;
  else for (const [n, first] of all.entries()) for (const rest of permutations(all.toSpliced(n, 1))) yield [first, ...rest];
}
