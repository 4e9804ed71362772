"""What one paid trade of one card asks of AWS, call by call, as the code makes them and `make bench` has counted them.

`tests/benchmarks/test_simulation.py` holds the sums against `benchmarks/baseline.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from cardshop.domain.product import shares
from cardshop.usecases.pick_cards import SPREAD

#: Which key a use falls on. Keys of a trade's own are as many as trades; of the others there are few.
TRADE, SUBJECT, CARD = "trade", "subject", "card"
POOL, DUE, LANE, PRODUCT, BATCH, DATA_KEY = "pool", "due shard", "holdings lane", "product", "batch", "data key"
FEED = "shop's feed"  # who listens to the whole shop: one key

#: How many there are of a batch or of the shop (`domain/product.py`, `adapters/orders.py`, `adapters/holdings.py`).
DUE_SHARDS, LANES = 32, 8
#: A trade id ends in one of 32 letters and digits, whose code modulo eight is not even: one lane gets five of them.
LANE_WEIGHTS = tuple(
    Counter(ord(each) % LANES for each in "abcdefghijklmnopqrstuvwxyz234567")[lane] for lane in range(LANES)
)
_CARDS_IN_POOL = 125  # of a thousand

#: Milliseconds a call takes its caller, our assumption: AWS promises single-digit milliseconds of DynamoDB and nothing
#: of the rest. `own`: what a function does itself, at the third of a core that 512 MB are.
MS = {
    "own": 15.0,
    "GetItem": 5.0,
    "Query": 5.0,
    "BatchGetItem": 6.0,
    "PutItem": 8.0,
    "UpdateItem": 8.0,
    "TransactWriteItems": 15.0,
    "SendMessage": 10.0,
    "StartExecution": 30.0,
    "SendTaskSuccess": 20.0,
    "Decrypt": 10.0,
    "GetParameter": 20.0,
    "provider": 100.0,  # asked where a signature alone proves too little
    "cold": 1000.0,
}


@dataclass(frozen=True, slots=True)
class Use:
    """Units of a table or of one of its indexes."""

    where: str
    key: str
    writes: float = 0
    reads: float = 0


@dataclass(frozen=True, slots=True)
class Call:
    operation: str
    uses: tuple[Use, ...] = ()
    times: float = 1


@dataclass(frozen=True)
class Step:
    """One function's part, or the machine's own (which is no invocation)."""

    name: str
    calls: tuple[Call, ...]
    invocations: float = 1
    requests: int = 0
    transitions: int = 0
    asks: bool = False  # the provider

    @cached_property
    def seconds(self) -> float:
        """Of one invocation, warm."""
        calls = sum(MS.get(call.operation, 0) * call.times for call in self.calls)
        return (MS["own"] + calls + MS["provider"] * self.asks) / 1000

    @cached_property
    def uses(self) -> list[Use]:
        return [
            Use(use.where, use.key, use.writes * call.times, use.reads * call.times)
            for call in self.calls
            for use in call.uses
        ]


def _holds(writes: float = 0, reads: float = 0) -> list[Use]:
    return [Use(f"orders/holds-by-{each}", SUBJECT, writes, reads) for each in ("address", "device", "contact")]


_READ_ORDER = Call("GetItem", (Use("orders", TRADE, reads=1),))
_TOKEN = Call("machine UpdateItem", (Use("orders", TRADE, writes=2),))
_INVOKE = Call("machine Invoke")


def _write_order(*beside: Use) -> Call:
    """Two units: an order that bears a token has more than a kilobyte."""
    return Call("UpdateItem", (Use("orders", TRADE, writes=2), *beside))


PLACE = Step(
    "place_order",
    (
        Call("GetItem", (Use("catalogue", PRODUCT, reads=0.5),)),
        *(Call("Query", (use,)) for use in _holds(reads=0.5)),
        Call("Query", (Use("stock", POOL, reads=0.5),), times=1 + (1 + SPREAD) / _CARDS_IN_POOL),  # some wrap around
        Call(
            "TransactWriteItems",
            (
                Use("stock", POOL, writes=2),
                Use("orders", TRADE, writes=2),
                Use("orders/due", DUE, writes=1),
                *_holds(writes=1),
            ),
        ),
    ),
    requests=1,
)
START = Step("start_trade", (Call("StartExecution"),))
AWAIT_PAYMENT = Step("AwaitPayment", (_TOKEN,), invocations=0, transitions=1)
RECEIVE = Step("receive_notice", (Call("SendMessage"),), requests=1)
CONFIRM = Step(
    "confirm_payment",
    (
        Call("lambda's ReceiveMessage and DeleteMessage", times=2),
        _READ_ORDER,
        _write_order(*_holds(writes=1)),
        Call("SendTaskSuccess"),
    ),
    asks=True,
)
DELIVER = Step(
    "deliver_cards",
    (
        _INVOKE,
        _READ_ORDER,
        Call("GetItem", (Use("catalogue", BATCH, reads=1),)),
        _write_order(Use("orders/due", DUE, writes=2)),
    ),
    transitions=1,
)
AWAIT_RECEIPT = Step("AwaitReceipt", (_TOKEN,), invocations=0, transitions=1)
VIEW = Step("view_order", (_READ_ORDER, Call("Query", (Use("timeline", TRADE, reads=0.5),))), requests=1)
REVEAL = Step(
    "reveal_cards",
    (
        _READ_ORDER,
        _write_order(),
        Call("BatchGetItem", (Use("sealed", CARD, reads=0.5),)),
        Call("BatchGetItem", (Use("sealed", DATA_KEY, reads=0.5),)),
        Call("Decrypt"),
    ),
    requests=1,
)
COMPLETE = Step("complete_trade", (_INVOKE, _READ_ORDER, _write_order(Use("orders/due", DUE, writes=1))), transitions=1)
#: Five changes, for an order alone an invocation each; two of them say whose its card is. Tokens are filtered.
RECORD_CHANGE = Step("record_events", (Call("PutItem", (Use("timeline", TRADE, writes=1),)),))
RECORD_HOLDING = Step("record_events", (*RECORD_CHANGE.calls, Call("PutItem", (Use("holdings", LANE, writes=1),))))
#: Nobody listens, or a few: what they are told is no call of AWS's storage, and takes as long as the slowest line.
PUSH = Step(
    "push_changes",
    (
        Call("Query", (Use("connections", TRADE, reads=1),)),
        Call("Query", (Use("connections", FEED, reads=1),)),  # once a batch of changes
    ),
)
COUNT = Step(
    "count_stock",
    (
        Call("GetItem", (Use("catalogue", PRODUCT, reads=1),)),
        Call("Query", (Use("stock", POOL, reads=3),)),
        Call("UpdateItem", (Use("catalogue", PRODUCT, writes=1),)),
    ),
)
RECORDS = (*(RECORD_HOLDING,) * 2, *(RECORD_CHANGE,) * 3)
PUSHES = (PUSH,) * len(RECORDS)

PAID = (
    PLACE,
    START,
    AWAIT_PAYMENT,
    RECEIVE,
    CONFIRM,
    DELIVER,
    AWAIT_RECEIPT,
    VIEW,
    REVEAL,
    VIEW,
    COMPLETE,
    *RECORDS,
    *PUSHES,
    COUNT,
)


def calls(steps: Iterable[Step] = PAID) -> float:
    return sum(call.times for step in steps for call in step.calls)


def invocations(steps: Iterable[Step] = PAID) -> float:
    return sum(step.invocations for step in steps)


def operations(operation: str, steps: Iterable[Step] = PAID) -> float:
    return sum(call.times for step in steps for call in step.calls if call.operation == operation)


def writes(where: str | None = None, steps: Iterable[Step] = PAID) -> float:
    return sum(use.writes for step in steps for use in step.uses if where in {None, use.where})


def reads(where: str | None = None, steps: Iterable[Step] = PAID) -> float:
    return sum(use.reads for step in steps for use in step.uses if where in {None, use.where})


def on(key: str, *, reading: bool = False, steps: Iterable[Step] = PAID) -> float:
    """Units a trade writes to, or reads of, keys of this kind."""
    return sum(use.reads if reading else use.writes for step in steps for use in step.uses if use.key == key)


def busy_seconds(steps: Iterable[Step] = PAID) -> float:
    """Of all functions together, for one trade."""
    return sum(step.seconds * step.invocations for step in steps)


def pools(cards: int) -> int:
    """How many pools one batch of this many cards is cut into."""
    return len(shares(cards))
