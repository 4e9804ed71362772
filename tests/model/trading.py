"""Buyers, providers, operators and the clock, as rules: whatever they do to the shop, they do to the model."""

from __future__ import annotations

import copy
import secrets
import uuid
from collections import Counter
from typing import Any, ClassVar, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.house import wait_until
from tests.model.shop_model import CHANNELS, GIVEN, Answer, Payment, Shop

PRICES = {"a": 990, "b": 1500}

_which = st.integers(0, 99)  # one of those there are, whatever there is
_skus = st.sampled_from(sorted(PRICES))
_channels = st.sampled_from(sorted(CHANNELS))
_yes = st.booleans()


class Under(Protocol):
    """A shop under test. Actions have the names, arguments and answers of `shop_model.Shop`'s."""

    def shown(self, number: int) -> dict[str, Any]: ...
    def held(self, number: int) -> Counter[str]: ...
    def stock(self, sku: str) -> tuple[int, dict[str, tuple[int, int, int]]]: ...
    def codes(self, number: int) -> list[str]: ...


class Trading(RuleBasedStateMachine):
    """`begin` and `finish` are the shop's; `worlds` are the models that the shop may be by what was seen of it."""

    model: ClassVar[type[Shop]] = Shop
    patience: ClassVar[float] = 60.0  # seconds until what must happen is given up on

    def begin(self) -> Under:
        raise NotImplementedError

    def finish(self) -> None:
        """What is still to be asserted when everything was done."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = self.begin()
        self.worlds = [self.model(PRICES)]
        self.settled: dict[int, dict[str, Any]] = {}
        self.wrong = False

    # ---- the buyer

    @rule(sku=_skus, quantity=st.integers(1, 3), channel=_channels, password=_yes)
    def place(self, sku: str, quantity: int, channel: str, password: bool) -> None:
        self.act("place", str(uuid.uuid4()), sku, quantity, channel, password)

    @rule(which=_which, same=_yes)
    def place_again(self, which: int, same: bool) -> None:
        if orders := self._orders():
            key = list(self.world.keys)[which % len(orders)]
            sku, quantity, channel, password = self.world.orders[self.world.keys[key]].wish
            self.act("place", key, sku, quantity if same else 4, channel, password)

    @rule(which=_which)
    def cancel(self, which: int) -> None:
        if orders := self._orders("pending_payment") or self._orders():
            self.act("cancel", orders[which % len(orders)])

    @rule(which=_which, channel=_channels)
    def pay_again(self, which: int, channel: str) -> None:
        if orders := self._orders("pending_payment") or self._orders():
            self.act("pay_again", orders[which % len(orders)], channel)

    @rule(which=_which)
    def reveal(self, which: int) -> None:
        if orders := self._orders(*GIVEN) or self._orders():
            self._reveal(orders[which % len(orders)])

    @rule(which=_which)
    def confirm(self, which: int) -> None:
        if orders := self._orders("delivered", "pending_payment") or self._orders():
            self.act("confirm", orders[which % len(orders)])

    @rule(which=_which, holder=_which)
    def view(self, which: int, holder: int) -> None:
        if orders := self._orders():
            self.act("view", orders[which % len(orders)], orders[holder % len(orders)])

    @rule(which=_which, right=_yes)
    def look_up(self, which: int, right: bool) -> None:
        """Who tries a third time in vain has to wait: nobody does here."""
        orders = [number for number in self._orders() if self.world.orders[number].tries < 2]
        if orders:
            self.act("look_up", orders[which % len(orders)], right)

    # ---- the provider

    @precondition(lambda self: self._payable())
    @rule(which=_which)
    def pay(self, which: int) -> None:
        self._pay(which, "exact", told=True)

    @precondition(lambda self: self._payable())
    @rule(which=_which, how=st.sampled_from(["exact", "short", "over"]), told=_yes)
    def pay_oddly(self, which: int, how: str, told: bool) -> None:
        self._pay(which, how, told=told)

    def _payable(self) -> list[tuple[int, int]]:
        return self._payments(lambda each: each.there == "open")

    def _pay(self, which: int, how: str, *, told: bool) -> None:
        payable = self._payable()
        number, at = payable[which % len(payable)]
        payment = self.world.orders[number].payments[at]
        minor = payment.minor
        if not CHANNELS[payment.channel].closes:  # else nobody can pay another amount there
            minor = {"exact": minor, "short": minor // 2, "over": minor + 500}[how]
        self.act("pays", number, at, minor, told)

    @precondition(lambda self: self._payments(_paid_there))
    @rule(which=_which)
    def tell_again(self, which: int) -> None:
        """A notice that was lost comes late, or one that came comes once more."""
        paid = self._payments(_paid_there)
        self.act("tell", *paid[which % len(paid)])

    @rule(which=_which)
    def forge(self, which: int) -> None:
        if payments := self._payments(lambda each: each.there != "closed"):
            self.act("forge", *payments[which % len(payments)])

    # ---- the operator

    @initialize(cards=st.integers(1, 4), channel=_channels, password=_yes)
    def open_up(self, cards: int, channel: str, password: bool) -> None:
        self.load("a", cards)
        self.load("b", 2)
        self.place("a", 1, channel, password)

    @rule(sku=_skus, cards=st.integers(1, 3))
    def load(self, sku: str, cards: int) -> None:
        self.act("load", sku, tuple(f"CODE-{secrets.token_hex(10)}" for _ in range(cards)))

    @rule(which=_which, turned=_yes)
    def load_again(self, which: int, turned: bool) -> None:
        """The same file, or the same cards in another sequence."""
        name, sku = self._batch(which)
        codes = self.world.batches[name].codes
        self.act("load", sku, codes[::-1] if turned else codes)

    @rule(which=_which)
    def move(self, which: int) -> None:
        name, _ = self._batch(which)
        self.act("move", name, not self.world.batches[name].on_sale)

    @rule(sku=_skus)
    def hide_or_show(self, sku: str) -> None:
        self.act("list_product", sku, sku not in self.world.hidden)

    @precondition(lambda self: self._payments(_paid))
    @rule(which=_which, part=_yes, named=_yes, twice=_yes)
    def refund(self, which: int, part: bool, named: bool, twice: bool) -> None:
        paid = self._payments(_paid)
        number, at = paid[which % len(paid)]
        key = str(uuid.uuid4())
        for _ in range(1 + twice):
            self.act("refund", number, at if named else None, 100 if part else None, key)

    @precondition(lambda self: self._payments(_paid))
    @rule(which=_which)
    def send_by_hand(self, which: int) -> None:
        paid = self._payments(lambda each: bool(each.by_hand)) or self._payments(_paid)
        self.act("sent_by_hand", *paid[which % len(paid)], f"bank-{secrets.token_hex(4)}")

    @rule(which=_which)
    def keep(self, which: int) -> None:
        payments = self._payments(lambda each: each.task is not None) or self._payments(lambda each: True)
        if payments:
            self.act("keep", *payments[which % len(payments)])

    @precondition(lambda self: self._payments(_lost))
    @rule(which=_which)
    def confirm_by_hand(self, which: int) -> None:
        lost = self._payments(_lost)
        number, at = lost[which % len(lost)]
        self.act("confirm_by_hand", number, at, self.world.orders[number].payments[at].received)

    # ---- the clock

    @rule(which=_which, over=_yes)
    def time_passes(self, which: int, over: bool) -> None:
        """Till `reconcile` comes; `over`: and till a window is over."""
        orders = self._orders("pending_payment", "delivered") if over else []
        if orders:
            self.act("time_over", orders[which % len(orders)])
        else:
            self.act("look")

    # ---- the shop and the model beside it

    @property
    def world(self) -> Shop:
        return self.worlds[0]

    def act(self, action: str, *args: Any) -> None:
        """Do it, and see that the shop answers as the model may, and comes to what the model is then."""
        self.wrong = True  # until it is seen to be right
        outcomes = [each for world in self.worlds for each in world.outcomes(action, *args)]
        answer: Answer = getattr(self.shop, action)(*args)
        said = f"{action}{args}"
        self.worlds = [world for expected, world in outcomes if expected == answer]
        assert self.worlds, f"{said}: the shop answers {answer}, the model {[expected for expected, _ in outcomes]}"
        self.settle(said, looking=action in ("look", "time_over"))
        self.wrong = False
        if any(world.waiting_for_a_look() for world in self.worlds):
            self.act("look")

    def settle(self, said: str, *, looking: bool = False, everything: bool = False) -> None:
        """The shop comes to what one of the worlds is; the others are none any more."""
        numbers = [
            number
            for number in range(len(self.world.orders))
            if everything or any(world.orders[number].shown != self.settled.get(number) for world in self.worlds)
        ]
        skus = {self.world.orders[number].sku for number in numbers} if numbers else set(PRICES)
        seen: dict[str, Any] = {}
        rounds = 0

        def fits() -> bool:
            nonlocal rounds
            rounds += 1
            if looking and rounds > 1:
                self.shop.look()  # type: ignore[attr-defined]
            seen["orders"] = {number: self.shop.shown(number) for number in numbers}
            possible = [world for world in self.worlds if _of(world, numbers) == seen["orders"]]
            if not possible:
                return False
            seen["held"] = {number: self.shop.held(number) for number in numbers}
            seen["stock"] = {sku: self.shop.stock(sku) for sku in skus}
            found = []
            for world in map(copy.deepcopy, possible):
                learnt = [world.learn(number, seen["held"][number]) for number in numbers]
                if all(learnt) and {sku: world.stock(sku) for sku in skus} == seen["stock"]:
                    found.append(world)
            if found:
                self.worlds = found[:1]
            return bool(found)

        wait_until(fits, lambda: f"{said}\n the shop is {seen}\n the model {self._expected(numbers)}", self.patience)
        self.settled.update(seen["orders"])

    def _expected(self, numbers: list[int]) -> list[tuple[Any, Any]]:
        return [(_of(world, numbers), {sku: world.stock(sku) for sku in PRICES}) for world in self.worlds]

    def teardown(self) -> None:
        """What each buyer can read in the end, and nothing that came later than it was looked at."""
        if self.wrong:
            return
        for number in self._orders():
            self._reveal(number)
        self.settle("at the end", everything=True)
        self.finish()

    def _reveal(self, number: int) -> None:
        self.act("reveal", number)
        if self.world.orders[number].status in GIVEN:
            codes = self.shop.codes(number)
            self.world.orders[number].story.append("cards_revealed")
            assert self.world.read(number, codes), f"order {number} reads {codes}"
            self.settle("read again")

    def _orders(self, *statuses: str) -> list[int]:
        return [n for n, order in enumerate(self.world.orders) if not statuses or order.status in statuses]

    def _payments(self, fit: Any) -> list[tuple[int, int]]:
        return [
            (number, at)
            for number, order in enumerate(self.world.orders)
            for at, payment in enumerate(order.payments)
            if fit(payment)
        ]

    def _batch(self, which: int) -> tuple[str, str]:
        name = list(self.world.batches)[which % len(self.world.batches)]
        return name, self.world.batches[name].sku


def _paid(payment: Payment) -> bool:
    return payment.paid is not None


def _paid_there(payment: Payment) -> bool:
    return payment.there == "paid"


def _lost(payment: Payment) -> bool:
    return _paid_there(payment) and not _paid(payment)


def _of(world: Shop, numbers: list[int]) -> dict[int, dict[str, Any]]:
    return {number: world.orders[number].shown for number in numbers}
