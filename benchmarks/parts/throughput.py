"""Good cards a second: order, pay, notice, delivered, card read, each buyer the whole way, so many at a time.

Whether an order is delivered they see from the table, not through the API: on two cores the asking would be most of the
work, and the peers' buyers need not ask.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from benchmarks.buyer import Buyer, Placed, item_of
from benchmarks.figures import EXACT, Figure
from benchmarks.stage import Stage
from tests.house import House, wait_until

_CARDS = 200
#: Good cards a second of acg-faka 3.6.0 and kamiFaka 1.88 on a machine like this, and what went wrong at 32.
_PEERS = {
    1: "acg-faka 36, kamiFaka 57",
    8: "acg-faka 45, kamiFaka 46",
    32: "acg-faka 45, kamiFaka 56",
}


def run(stage: Stage) -> list[Figure]:
    house = stage.house
    house.channel()
    buyer = Buyer(house)
    figures = []
    wrong = 0
    for at_once, peers in _PEERS.items():
        _sell(house, buyer, at_once, 2 * at_once)  # the workers it takes are there
        stage.say(f"throughput: {_CARDS} cards, {at_once} buyers at a time")
        rate, bad = _sell(house, buyer, at_once, _CARDS)
        wrong += bad
        figures.append(
            Figure(f"throughput.c{at_once}", rate, f"good cards a second, {at_once} at a time", "/s", beside=peers)
        )
    note = "At 32 acg-faka loses 15 % of the paid orders, and kamiFaka sells 17 % of the cards twice."
    what = "cards that nobody got, or two"
    return [*figures, Figure("throughput.wrong", wrong, what, most=0, tolerance=EXACT, note=note, required=True)]


def _sell(house: House, buyer: Buyer, at_once: int, cards: int) -> tuple[float, int]:
    """(good cards a second, cards that nobody got or somebody else as well)."""
    sku, codes = house.product(cards)

    def buy(_: int) -> list[str]:
        placed = buyer.order(sku)
        buyer.pay(placed)
        buyer.notify(buyer.notice(placed))
        wait_until(lambda: _delivered(house, placed), lambda: f"{placed['trade_id']} is not delivered")
        return buyer.cards(placed)

    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        got = Counter(code for sold in threads.map(buy, range(cards)) for code in sold)
    seconds = time.perf_counter() - started
    good = sum(got[code] == 1 for code in codes)
    return good / seconds, cards - good


def _delivered(house: House, placed: Placed) -> bool:
    return bool(item_of(house, placed)["status"]["S"] == "delivered")
