"""The shop as a small model: what buyers, providers and operators would find, were everything instant and nothing lost.

Written from the README and docs/operations.md, not from the shop's code. An action answers what the API answers, as
(HTTP status, what matters of the body). Where the shop may do one thing or another (whose card it is when two want the
last one), the model asks `_choose`; `outcomes` plays an action through with every choice.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

Answer = tuple[int, str]

UNPAID = ("pending_payment", "payment_failed")
GIVEN = ("delivered", "completed")
REFUNDABLE = ("paid", "awaiting_stock", "delivered", "completed", "closed")
FUNDING = ("accepted", "surplus")
BESIDE = ("duplicate", "late")  # money that came beside the price
MOST_PAYMENTS = 10


@dataclass(frozen=True)
class Channel:
    """What a channel can send back (`none`, `whole`, `partial`), whether it closes payments, and the least it takes."""

    refunds: str
    closes: bool
    least: int = 1


CHANNELS = {
    "epay": Channel("none", closes=False),
    "model-whole": Channel("whole", closes=False),
    "model-stripe": Channel("partial", closes=True, least=500),
}


@dataclass
class Refund:
    minor: int
    state: str  # requested | done | refused | by_hand
    by: str


@dataclass
class Payment:
    channel: str
    minor: int
    there: str = "open"  # what the provider's books say: open | paid | closed
    received: int = 0  # by the provider, minor units
    paid: int | None = None  # as far as the shop knows
    failed: bool = False
    judged: str = "open"  # what the money was to the order when it came
    kept: bool = False
    refunds: list[Refund] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)  # refunds by the key of the request that asked for them

    def total(self, *states: str) -> int:
        return sum(refund.minor for refund in self.refunds if refund.state in states)

    @property
    def left(self) -> int:
        return (self.paid or 0) - self.total("done", "requested")

    @property
    def by_hand(self) -> list[Refund]:
        return [refund for refund in self.refunds if refund.state == "by_hand"]

    @property
    def state(self) -> str:
        if self.paid is None:
            return "failed" if self.failed else "open"
        if self.total("requested"):
            return "refunding"
        return "refunded" if not self.left and self.total("done") else self.judged

    @property
    def task(self) -> str | None:
        if self.by_hand:
            return "refund_by_hand"
        undecided = self.state == "surplus" and all(each.state == "refused" for each in self.refunds)
        return "decide_on_surplus" if undecided and not self.kept else None

    def let_be(self) -> None:
        for refund in self.by_hand:
            refund.state = "refused"

    def afford(self) -> None:
        """What has gone is certain; of the rest, what there is no money left for is nobody's task any more."""
        room = (self.paid or 0) - self.total("done")
        for refund in sorted(self.refunds, key=lambda each: each.state != "requested"):
            if refund.state in ("requested", "by_hand"):
                if refund.minor > room:
                    refund.state = "refused"
                else:
                    room -= refund.minor


@dataclass
class Order:
    sku: str
    quantity: int
    price: int
    payments: list[Payment]
    wish: tuple[object, ...]
    password: bool
    status: str = "pending_payment"
    story: list[str] = field(default_factory=lambda: ["pending_payment"])
    has_cards: bool = True
    held: Counter[str] | None = None  # by batch; None: not seen yet which the shop took
    codes: list[str] = field(default_factory=list)  # once they were read
    over: bool = False  # its window
    after_sale_over: bool = False
    tries: int = 0  # wrong passwords in a row
    back_to: str | None = None  # while refunding

    @property
    def due(self) -> int:
        return max(0, self.price - sum(each.left for each in self.payments if each.judged == "short"))

    @property
    def price_paid(self) -> list[Payment]:
        return [each for each in self.payments if each.paid is not None and each.judged not in BESIDE]

    @property
    def funded(self) -> bool:
        return any(each.judged in FUNDING for each in self.payments) and any(each.left for each in self.price_paid)

    def owed(self, payment: Payment) -> bool:
        """Whether its money is not the shop's to keep."""
        if not payment.left or payment.kept or payment.by_hand:
            return False
        if payment.judged in BESIDE or self.status == "refunded":
            return True
        return payment.judged == "short" and not self.funded and self.status == "closed"

    def become(self, status: str) -> None:
        self.status = status
        self.story.append(status)

    @property
    def shown(self) -> dict[str, Any]:
        """As an operator sees it. What happened at the same moment has no sequence."""
        cards = "held" if self.status in UNPAID else "given"
        if "cards_revealed" in self.story:
            cards = "forfeited" if self.status == "refunded" else "revealed"
        return {
            "status": self.status,
            "version": len(self.story),
            "amount": self.price,
            "due": self.due,
            "payments": [
                (each.channel, each.state, each.minor, each.paid, [(it.minor, it.state, it.by) for it in each.refunds])
                for each in self.payments
            ],
            "story": sorted(self.story),
            "tasks": [each.task for each in self.payments if each.task],
            "cards": [cards] * (self.quantity if self.has_cards else 0),
        }


@dataclass
class Batch:
    sku: str
    codes: tuple[str, ...]
    on_sale: bool = True


class Shop:
    def __init__(self, prices: dict[str, int]) -> None:
        self.prices = prices
        self.hidden: set[str] = set()
        self.batches: dict[str, Batch] = {}
        self.orders: list[Order] = []  # the oldest first
        self.keys: dict[str, int] = {}  # Idempotency-Key → order
        self._choices: list[int] = []
        self._chosen: list[tuple[int, int]] = []

    def outcomes(self, action: str, *args: Any) -> Iterator[tuple[Answer, Shop]]:
        """Every answer the shop may give, with the shop as it is then; this one stays as it is."""
        untried: list[list[int]] = [[]]
        while untried:
            after = copy.deepcopy(self)
            after._choices, after._chosen = list(untried.pop()), []
            answer = getattr(after, action)(*args)
            yield answer, after
            taken = [choice for choice, _ in after._chosen]
            for at in range(len(after._choices), len(taken)):
                untried += [[*taken[:at], other] for other in range(1, after._chosen[at][1])]

    def _choose(self, many: int) -> int:
        at = len(self._chosen)
        choice = self._choices[at] if at < len(self._choices) else 0
        self._chosen.append((choice, many))
        return choice

    # ---- the buyer

    def place(self, key: str, sku: str, quantity: int, channel: str, password: bool) -> Answer:
        wish = (sku, quantity, channel, password)
        if key in self.keys:
            number = self.keys[key]
            order = self.orders[number]
            return (201, f"{number}.{len(order.payments)}") if order.wish == wish else (422, "idempotency_key_reused")
        if sku in self.hidden:
            return 422, "unknown_product"
        if quantity > self.free(sku):
            return 409, "out_of_stock"
        self.keys[key] = len(self.orders)
        price = quantity * self.prices[sku]
        self.orders.append(Order(sku, quantity, price, [Payment(channel, price)], wish, password))
        return 201, f"{self.keys[key]}.1"

    def cancel(self, number: int) -> Answer:
        order = self.orders[number]
        if order.status == "closed":
            return 200, ""
        if order.status != "pending_payment":
            return 409, "not_cancellable"
        order.become("payment_failed")
        self._close(order)
        return 200, ""

    def pay_again(self, number: int, channel: str) -> Answer:
        order = self.orders[number]
        if order.status != "pending_payment":
            return 409, "not_payable"
        if order.due < CHANNELS[channel].least:
            return 422, "channel_cannot_take"
        for at, each in enumerate(order.payments):
            if (each.state, each.channel, each.minor) == ("open", channel, order.due):
                return 201, str(at)
        if len(order.payments) >= MOST_PAYMENTS:
            return 409, "too_many_payments"
        order.payments.append(Payment(channel, order.due))
        order.story.append("payment_opened")
        return 201, str(len(order.payments) - 1)

    def reveal(self, number: int) -> Answer:
        order = self.orders[number]
        if order.status not in GIVEN:
            return 409, "not_delivered"
        order.story.append("cards_revealed")
        return 200, ""

    def confirm(self, number: int) -> Answer:
        order = self.orders[number]
        if order.status == "delivered":
            order.become("completed")
        return (200, "") if order.status == "completed" else (409, "not_delivered")

    def view(self, number: int, holder: int) -> Answer:
        return (200, self.orders[number].status) if number == holder else (404, "not_found")

    def look_up(self, number: int, right: bool) -> Answer:
        order = self.orders[number]
        known = right and order.password
        order.tries = 0 if known else order.tries + 1
        return (200, "") if known else (401, "wrong_credentials")

    # ---- the provider

    def pays(self, number: int, at: int, minor: int, told: bool) -> Answer:
        """The buyer pays `minor` there; `told`: the notice comes."""
        payment = self.orders[number].payments[at]
        payment.there, payment.received = "paid", minor
        return self.tell(number, at) if told else (200, "")

    def tell(self, number: int, at: int) -> Answer:
        """The provider's notice: the first, once more, or long after."""
        order = self.orders[number]
        payment = order.payments[at]
        if payment.there == "paid":
            self._money(order, payment, payment.received)
        return 200, ""

    def forge(self, number: int, at: int) -> Answer:
        """A notice that somebody else made up."""
        return 400, "fail"

    # ---- the operator

    def load(self, sku: str, codes: tuple[str, ...]) -> Answer:
        """A file of cards, named by its first one; the same again adds nothing."""
        if any(codes == each.codes for each in self.batches.values()):
            return 200, str(len(codes))
        if any(set(codes) <= set(each.codes) for each in self.batches.values()):
            return 422, "nothing_to_import"
        self.batches[codes[0]] = Batch(sku, codes)
        self._fill(sku)
        return 201, str(len(codes))

    def move(self, name: str, on_sale: bool) -> Answer:
        """A batch taken off sale, or put back."""
        batch = self.batches[name]
        if batch.on_sale != on_sale:
            batch.on_sale = on_sale
            self._fill(batch.sku)
        return 200, "on_sale" if on_sale else "withdrawn"

    def list_product(self, sku: str, hidden: bool) -> Answer:
        (self.hidden.add if hidden else self.hidden.discard)(sku)
        return 200, "hidden" if hidden else "on_sale"

    def refund(self, number: int, at: int | None, minor: int | None, key: str) -> Answer:
        """Through the provider. `at` None: what paid for it; `minor` None: all that is left of it."""
        order = self.orders[number]
        if at is None:
            at = next((n for n, each in enumerate(order.payments) if each.judged in FUNDING), None)
        if at is None:
            return 409, "not_refundable"
        payment = order.payments[at]
        if key not in payment.asked:
            if not payment.left or (minor or 0) > payment.left:
                return 409, "not_refundable"
            payment.asked[key] = len(payment.refunds)
            self._send_back(order, [(payment, minor or payment.left)], "operator")
        return 200, payment.refunds[payment.asked[key]].state

    def sent_by_hand(self, number: int, at: int, ref: str) -> Answer:
        """The operator has sent what waited for that, or all that is left."""
        order = self.orders[number]
        payment = order.payments[at]
        if ref not in payment.asked:
            if payment.by_hand:
                waiting = payment.by_hand[0]
                payment.asked[ref] = payment.refunds.index(waiting)
                waiting.state = "done"
            elif not payment.left:
                return 409, "not_refundable"
            else:
                payment.asked[ref] = len(payment.refunds)
                payment.refunds.append(Refund(payment.left, "done", "operator"))
            payment.afford()
            self._moved(order, "refund_done")
            self._gone(order)
        return 200, payment.refunds[payment.asked[ref]].state

    def keep(self, number: int, at: int) -> Answer:
        order = self.orders[number]
        payment = order.payments[at]
        if payment.paid is None:
            return 409, "not_refundable"
        if not payment.kept or payment.by_hand:
            payment.let_be()
            payment.kept = True
            self._moved(order, "payment_kept")
        return 200, ""

    def confirm_by_hand(self, number: int, at: int, minor: int) -> Answer:
        """The operator has seen the money at the provider."""
        order = self.orders[number]
        self._money(order, order.payments[at], minor)
        return 200, ""

    # ---- the clock

    def look(self) -> Answer:
        """`reconcile` runs until it finds nothing to do. It looks at the trades in no sequence."""
        while True:
            before = [order.shown for order in self.orders]
            several = [order for order in self.orders if self._wants_cards(order) or self._closes(order)]
            orders = list(permutations(several))
            first = orders[self._choose(len(orders)) if self._scarce(several) else 0]
            for order in [*first, *(each for each in self.orders if each not in first)]:
                self._look(order)
            if before == [order.shown for order in self.orders]:
                return 200, ""

    def time_over(self, number: int) -> Answer:
        """The order's window is over, or the one after its sale; then `look`."""
        order = self.orders[number]
        order.over = True
        order.after_sale_over = order.status == "delivered"
        return self.look()

    # ---- what follows

    def free(self, sku: str) -> int:
        """Cards on sale."""
        return sum(self.left_of(name) for name, each in self.batches.items() if each.sku == sku and each.on_sale) - sum(
            order.quantity for order in self.orders if order.sku == sku and order.has_cards and order.held is None
        )

    def left_of(self, name: str) -> int:
        """Cards of a batch that are on no order."""
        return len(self.batches[name].codes) - sum(order.held[name] for order in self.orders if order.held)

    def stock(self, sku: str) -> tuple[int, dict[str, tuple[int, int, int]]]:
        """What is on sale, and of each batch what is on sale, held and sold."""
        found = {}
        for name, batch in self.batches.items():
            if batch.sku == sku:
                mine = [order for order in self.orders if order.held and order.held[name]]
                held = sum(order.held[name] for order in mine if order.held and order.status in UNPAID)
                sold = sum(order.held[name] for order in mine if order.held) - held
                found[name] = (self.left_of(name) if batch.on_sale else 0, held, sold)
        return self.free(sku), found

    def learn(self, number: int, held: Counter[str]) -> bool:
        """Whether the order can have these cards; which ones of those on sale it gets is the shop's affair."""
        order = self.orders[number]
        if not order.has_cards or order.held is not None:
            return held == (order.held or Counter())
        order.held = held
        right = all(self.batches[name].sku == order.sku and self.batches[name].on_sale for name in held)
        return right and held.total() == order.quantity

    def read(self, number: int, codes: list[str]) -> bool:
        """Whether the order's holder can have read these codes: the same as before, and nobody else's."""
        order = self.orders[number]
        order.codes = order.codes or codes
        others = {code for each in self.orders if each is not order for code in each.codes}
        of = Counter(name for code in codes for name, each in self.batches.items() if code in each.codes)
        return codes == order.codes and of == order.held and len(codes) == len(set(codes) - others)

    def waiting_for_a_look(self) -> bool:
        """Whether there are cards for somebody who waits: they came back from an order that was not to be."""
        waiting = [each for each in self.orders if each.status == "awaiting_stock"]
        return any(order.quantity <= self.free(order.sku) for order in waiting)

    def _wants_cards(self, order: Order) -> bool:
        late = any(each.paid is None and each.there == "paid" for each in order.payments)
        return order.status == "awaiting_stock" or (order.status == "closed" and late)

    @staticmethod
    def _closes(order: Order) -> bool:
        return order.status == "pending_payment" and order.over

    def _scarce(self, several: list[Order]) -> bool:
        wanted = Counter[str]()
        for order in several:
            if self._wants_cards(order):
                wanted[order.sku] += order.quantity
        return len(several) > 1 and any(many > self.free(sku) for sku, many in wanted.items())

    def _take_cards(self, order: Order) -> bool:
        if order.quantity > self.free(order.sku):
            return False
        order.has_cards, order.held = True, None
        return True

    def _release(self, order: Order) -> None:
        order.has_cards, order.held = False, Counter()

    def _fill(self, sku: str) -> None:
        """The orders that wait get their cards, the oldest first; a large one holds up nobody."""
        for order in self.orders:
            if order.sku == sku:
                self._fill_one(order)

    def _fill_one(self, order: Order) -> None:
        if order.status == "awaiting_stock" and self._take_cards(order):
            order.become("delivered")

    def _paid(self, order: Order) -> None:
        """Paid, and so delivered; but not with cards of a batch that was withdrawn meanwhile."""
        order.become("paid")
        if any(not self.batches[name].on_sale for name in order.held or ()):
            self._release(order)
            order.become("awaiting_stock")
        else:
            order.become("delivered")

    def _money(self, order: Order, payment: Payment, minor: int) -> None:
        if payment.paid is not None:
            return
        if order.funded:
            judged = "duplicate"
        elif order.status not in (*UNPAID, "closed"):
            judged = "late"
        elif minor < order.due:
            judged = "short"
        else:
            judged = "surplus" if minor > order.due else "accepted"
        if judged not in FUNDING:
            payment.paid, payment.judged = minor, judged
            order.story.append(f"payment_{judged}")
            return
        own = 0
        if order.status == "payment_failed":
            own = order.quantity if all(self.batches[name].on_sale for name in order.held or ()) else 0
            order.become("closed")
            self._release(order)
        payment.paid, payment.judged = minor, judged
        if order.status == "pending_payment" or (self._sees_enough(order, own) and self._take_cards(order)):
            self._paid(order)
        else:
            order.become("awaiting_stock")

    def _sees_enough(self, order: Order, own: int) -> bool:
        """A card that came back this moment (`own`) may not be counted among those on sale yet."""
        if order.quantity <= self.free(order.sku) - own:
            return True
        return order.quantity <= self.free(order.sku) and self._choose(2) == 0

    def _close(self, order: Order) -> None:
        """The provider is asked first, and closes what can be closed."""
        self._ask(order, close=True)
        if order.status in UNPAID:
            order.become("closed")
            self._release(order)

    def _ask(self, order: Order, *, close: bool) -> None:
        paid = [each for each in order.payments if each.paid is None and each.there == "paid"]
        for payment in order.payments:
            if close and CHANNELS[payment.channel].closes and payment.there == "open":
                payment.there, payment.failed = "closed", True
                order.story.append("payment_failed")
        for payment in paid:
            self._money(order, payment, payment.received)

    def _look(self, order: Order) -> None:
        self._ask(order, close=order.status != "pending_payment")
        if self._closes(order):
            self._close(order)
        elif order.status == "awaiting_stock":
            self._fill_one(order)
        elif order.status == "delivered" and order.after_sale_over:
            order.become("completed")
        owed = [(each, each.left) for each in order.payments if order.owed(each)]
        if owed:
            self._send_back(order, owed, "shop")

    def _send_back(self, order: Order, wanted: list[tuple[Payment, int]], by: str) -> None:
        """On record first; then through the provider, where the channel can."""
        sent = []
        for payment, minor in wanted:
            able = CHANNELS[payment.channel].refunds
            through = able == "partial" or (able == "whole" and minor == payment.paid)
            refund = Refund(minor, "requested" if through else "by_hand", by)
            payment.refunds.append(refund)
            payment.afford()
            sent += [(payment, refund)] if through else []
        self._moved(order, "refund_requested" if sent else "refund_by_hand")
        for payment, refund in sent:
            refund.state = "done"
            payment.afford()
            self._moved(order, "refund_done")
        self._gone(order)

    def _moved(self, order: Order, what: str) -> None:
        """Money went or stays; with all of its price goes the order."""
        whole = bool(order.price_paid) and not any(each.left for each in order.price_paid)
        if whole and order.status in REFUNDABLE:
            order.back_to = order.status
            order.become("refunding")
        elif not whole and order.status == "refunding":
            assert order.back_to is not None
            order.become(order.back_to)
        else:
            order.story.append(what)

    def _gone(self, order: Order) -> None:
        """Codes that nobody has read go back on sale."""
        if order.status == "refunding" and not any(each.total("requested") for each in order.price_paid):
            order.become("refunded")
            if "cards_revealed" not in order.story:
                self._release(order)
