"""kill -9: trades of every kind run on the deployed stack while the processes that its functions run in are killed.

Some die at a moment drawn by lot, whatever they do then; the others in the middle of a call, every function so many
times. Clients ask again as clients do, the platform tries again as it does, `reconcile` runs; nobody repairs anything.
All that is drawn comes of one seed, which is printed. `KILLS="1000 7"`: so many trades, by that seed.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import secrets
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import deploy, shop
from engine.processes import Home
from tests.house import PATIENCE, House, bearer, wait_until
from tests.invariants.checker import assert_sound
from tests.template.cloudformation import of_type

_TRADES, *_SEED = (int(number) for number in os.environ.get("KILLS", "100").split())
_AT_ONCE = 12
_LOOKS = 0.005  # seconds between two looks at who is in a call
_INTO_A_CALL = 0.03  # seconds at most that a process is left after it was seen in a call
_PAUSE = 3.0  # seconds between two kills at any moment, on average
_IN_A_CALL = max(2, _TRADES // 50)  # of each function
_LONG = 1.0  # seconds after which whoever waits has the trade looked at
#: They tell terminals of a trade, or hand it to one; none goes through them.
_BESIDE = {"ConnectTerminalFunction", "HandOffOrderFunction", "IssueTicketFunction"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is read in /proc who is in a call")


@dataclass
class Workers:
    """The processes that the engine runs a stack's functions in: children of its own, `…/ministack-lambda-NAME-…`."""

    engine: int
    stack: str
    _others: set[int] = field(default_factory=set)  # processes that are none of them
    _known: dict[int, str] = field(default_factory=dict)

    def now(self) -> dict[int, str]:
        """Process → its function, by its logical id."""
        there = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self._others &= there
        self._known = {pid: function for pid, function in self._known.items() if pid in there}
        for pid in there - self._others - self._known.keys():
            self._meet(pid)
        return self._known

    def _meet(self, pid: int) -> None:
        try:
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:  # it has ended
            return
        found = re.search(rf"/ministack-lambda-{self.stack}-([A-Za-z]+)-[^/]*/_worker.py", command)
        if parent != self.engine:
            self._others.add(pid)
        elif found:  # if not, it may be about to become one
            self._known[pid] = found.group(1)

    @staticmethod
    def in_a_call(pid: int) -> bool:
        """Whether it has begun to talk to AWS and does not wait for its next event (a read of its standard input)."""
        try:
            # Asked of every process every few milliseconds: pathlib would take most of the run's own time.
            with open(f"/proc/{pid}/syscall", "rb", buffering=0) as call:
                if call.read().startswith((b"0 0x0 ", b"63 0x0 ")):  # read(0, …) on x86-64 and arm64
                    return False
            return any(os.readlink(each).startswith("socket:") for each in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:  # it has ended, or ends
            return False


class Killer:
    """`wanted`: functions → how many processes of each are still to die in a call; `pause`: seconds between two deaths
    at any moment, on average."""

    def __init__(self, workers: Workers, lot: random.Random, wanted: Counter[str], pause: float) -> None:
        self._workers = workers
        self._lot = lot
        self._pause = pause
        self.wanted = wanted
        self.killed: Counter[tuple[str, str]] = Counter()  # (function, doing what)

    @contextmanager
    def at_large(self) -> Iterator[None]:
        over = threading.Event()
        with ThreadPoolExecutor(1) as thread:
            killing = thread.submit(self._kills, over)
            try:
                yield
            finally:
                over.set()
                killing.result()

    def _kills(self, over: threading.Event) -> None:
        aimed: dict[int, float] = {}  # process → when it is to die, if it is in a call then
        there: dict[int, str] = {}
        look, lot = 0.0, time.monotonic()
        while not over.wait(_LOOKS):
            now = time.monotonic()
            if now > look:
                there, look = self._workers.now(), now + 10 * _LOOKS
            for pid, function in there.items():
                if not self.wanted[function] or not self._workers.in_a_call(pid):
                    aimed.pop(pid, None)
                elif aimed.setdefault(pid, now + self._lot.uniform(0, _INTO_A_CALL)) <= now:
                    self._kill(pid, function, "in a call")
                    self.wanted[function] -= 1
            if there and now > lot:
                pid = self._lot.choice(sorted(there))
                self._kill(pid, there[pid], "at any moment")
                lot = now + self._lot.expovariate(1 / self._pause)

    def _kill(self, pid: int, function: str, what: str) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.killed[function, what] += 1


@dataclass
class Client:
    """Who asks again, as it was, until the answer is none of the 5xx."""

    house: House
    again: Counter[str] = field(default_factory=Counter)  # what was asked again
    waits: set[str] = field(default_factory=set)  # trades that somebody has waited for long
    over: set[str] = field(default_factory=set)  # trades whose windows have ended

    def asks(self, method: str, path: str, who: dict[str, str], **content: Any) -> dict[str, Any]:
        deadline, pause = time.monotonic() + PATIENCE, 0.1
        while True:
            try:
                answer = self.house.api.request(method, path, headers=who, **content)
                if answer.status_code < 500:
                    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
                    return dict(answer.json())
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{method} {path}: no answer"
            self.again[method] += 1
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def manages(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self.asks(method, f"/admin{path}", {**self.house.operator, **key}, **content)

    def opens(self, channel: str) -> None:
        pid, key = self.house.merchant
        settings = {"provider": "epay", "url": self.house.home.provider_url, "pid": pid, "key": key, "refunds": "whole"}
        self.manages("PUT", f"/channels/{channel}", json=settings)

    def loads(self, sku: str, codes: list[str]) -> str:
        """The batch."""
        loaded = self.manages("POST", f"/products/{sku}/cards", content="\n".join(codes))
        assert loaded["imported"] == len(codes)
        return str(loaded["batch"])

    def product(self, codes: list[str]) -> tuple[str, str]:
        """(SKU, batch)."""
        sku = f"sku-{secrets.token_hex(4)}"
        product = {"name": "a card", "price": {"minor": 990, "currency": "CNY"}, "status": "on_sale"}
        self.manages("PUT", f"/products/{sku}", json=product)
        return sku, self.loads(sku, codes)

    def orders(self, sku: str, **more: Any) -> dict[str, Any]:
        wish = {"items": [{"sku": sku, "quantity": 1}], "channel": "epay", "terminal": "pc", **more}
        return self.asks("POST", "/orders", {"Idempotency-Key": str(uuid.uuid4())}, json=wish)

    def acts(self, placed: dict[str, Any], path: str, **body: Any) -> dict[str, Any]:
        return self.asks("POST", f"/orders/{placed['trade_id']}/{path}", bearer(placed), json=body)

    def views(self, placed: dict[str, Any]) -> dict[str, Any]:
        return self.asks("GET", f"/orders/{placed['trade_id']}", bearer(placed))

    def until(self, placed: dict[str, Any], *statuses: str) -> None:
        since, trade_id = time.monotonic(), placed["trade_id"]

        def there() -> bool:
            if time.monotonic() > since + _LONG:
                self.waits.add(trade_id)
            found.update(self.views(placed))
            return found["status"] in statuses

        found: dict[str, Any] = {}
        wait_until(there, lambda: f"{trade_id} is {found.get('status')}, not {statuses}")
        self.waits.discard(trade_id)

    def windows_end(self, placed: dict[str, Any], *statuses: str) -> None:
        self.over.add(placed["trade_id"])
        self.until(placed, *statuses)
        self.over.discard(placed["trade_id"])

    def reads(self, placed: dict[str, Any]) -> list[str]:
        return [each["code"] for each in self.acts(placed, "cards")["cards"]]

    @contextmanager
    def time_passes(self) -> Iterator[None]:
        """Ever again: who is waited for is due, and `reconcile` runs, and the audit. Both may be killed as well."""
        ended, functions = threading.Event(), self.house.aws("lambda")

        def pass_() -> None:
            for run in itertools.count():
                if ended.wait(1.0):
                    return
                for trade_id in self.waits | self.over:
                    self.house.make_due(trade_id, over=trade_id in self.over)
                for function in ("ReconcileFunction", *([] if run % 5 else ["AuditStockFunction"])):
                    functions.invoke(FunctionName=self.house.outputs[function], Payload=b"{}")

        thread = threading.Thread(target=pass_)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


# ---- trades of every kind; each ends as it says, and answers the codes that were read


def _bought(client: Client, sku: str) -> dict[str, Any]:
    placed = client.orders(sku)
    client.house.pay(placed)
    client.until(placed, "delivered")
    return placed


def _confirmed(client: Client, sku: str) -> list[str]:
    placed = _bought(client, sku)
    codes = client.reads(placed)
    assert client.reads(placed) == codes
    client.acts(placed, "confirm")
    client.until(placed, "completed")
    return codes


def _left_alone(client: Client, sku: str) -> list[str]:
    placed = _bought(client, sku)
    client.windows_end(placed, "completed")
    return client.reads(placed)


def _cancelled(client: Client, sku: str) -> list[str]:
    client.asks("GET", f"/products/{sku}", {})
    placed = client.orders(sku, query_password="correct horse")
    said = {"trade_id": placed["trade_id"], "query_password": "correct horse"}
    assert client.asks("POST", "/orders/lookup", {}, json=said)["trade_id"] == placed["trade_id"]
    client.acts(placed, "cancel")
    client.until(placed, "closed")
    return []


def _expired(client: Client, sku: str) -> list[str]:
    client.windows_end(client.orders(sku), "closed")
    return []


def _late(client: Client, sku: str) -> list[str]:
    placed = client.orders(sku)
    client.windows_end(placed, "closed")
    client.house.pay(placed)
    client.until(placed, "delivered")
    return client.reads(placed)


def _unnoticed(client: Client, sku: str) -> list[str]:
    """Paid, and no notice comes."""
    placed = client.orders(sku)
    client.house.pay(placed, notify=False)
    client.until(placed, "delivered")
    return client.reads(placed)


def _by_hand(client: Client, sku: str) -> list[str]:
    placed = client.orders(sku)
    client.house.pay(placed, notify=False)
    said = {"note": "seen in the wallet", "provider_ref": f"REF-{uuid.uuid4().hex}"}
    client.manages("POST", f"/orders/{placed['trade_id']}/confirm-payment", json=said)
    client.until(placed, "delivered")
    return client.reads(placed)


def _twice(client: Client, sku: str) -> list[str]:
    """Paid through two channels: what came second goes back."""
    placed = client.orders(sku)
    again = client.acts(placed, "payments", channel="epay-too")
    client.house.pay(placed)
    client.house.pay(again)
    client.until(placed, "delivered")
    client.waits.add(placed["trade_id"])

    def sent_back() -> bool:
        states.update({each["payment_id"]: each["state"] for each in client.views(placed)["payments"]})
        return sorted(states.values()) == ["accepted", "refunded"]

    states: dict[str, str] = {}
    wait_until(sent_back, lambda: f"{placed['trade_id']}: {states}")
    client.waits.discard(placed["trade_id"])
    return client.reads(placed)


def _refunded(client: Client, sku: str) -> list[str]:
    placed = _bought(client, sku)
    order = f"/orders/{placed['trade_id']}"
    client.manages("POST", f"{order}/refunds", json={"note": "the buyer's wish"})
    client.until(placed, "refunded")
    assert client.manages("GET", order)["status"] == "refunded"
    return []


def _imported(client: Client, _: str) -> list[str]:
    """The same file twice, its batch off sale and on sale again, and its one card sold; a channel is saved anew."""
    codes = _codes(1)
    client.opens("epay-too")
    sku, batch = client.product(codes)
    assert client.loads(sku, codes) == batch
    for status in ("withdrawn", "on_sale"):
        client.manages("PUT", f"/products/{sku}/batches/{batch}", json={"status": status})
    client.manages("GET", f"/products/{sku}")
    assert client.reads(_bought(client, sku)) == codes
    return codes


def _filled(client: Client, _: str) -> list[str]:
    """Its batch is withdrawn while it is being paid, so that it waits; an import brings another card."""
    sku, batch = client.product(_codes(1))
    placed, (other,) = client.orders(sku), _codes(1)
    client.manages("PUT", f"/products/{sku}/batches/{batch}", json={"status": "withdrawn"})
    client.house.pay(placed)
    client.until(placed, "awaiting_stock")
    client.loads(sku, [other])
    client.until(placed, "delivered")
    assert client.reads(placed) == [other]
    return [other]


_KINDS: tuple[Callable[[Client, str], list[str]], ...] = (
    *(_confirmed, _left_alone, _cancelled, _expired, _late, _unnoticed),
    *(_by_hand, _twice, _refunded, _imported, _filled),
)


def _codes(count: int) -> list[str]:
    return [f"CODE-{secrets.token_hex(10)}" for _ in range(count)]


# ---- the runs


@pytest.fixture(scope="module")
def stack(home: Home) -> House:
    """A shop of this test's own, whose queues show again soon what was being read by somebody who died."""
    outputs = deploy.deploy(home, "killed", {**shop.LOCAL_PARAMETERS, "RetrySeconds": "0"})
    house = House(home, "killed", outputs, shop.merchant(home))
    for channel in ("epay", "epay-too"):
        Client(house).opens(channel)
    sqs = house.aws("sqs")
    for url in sqs.list_queues(QueueNamePrefix=f"{house.stack}-")["QueueUrls"]:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5"})
    return house


def _workers(house: House) -> Workers:
    return Workers(int((house.home.path / "engine.pid").read_text()), house.stack)


def test_trades_of_every_kind_end_well_though_their_workers_are_killed(
    stack: House, capsys: pytest.CaptureFixture[str]
) -> None:
    (seed,) = _SEED or (random.randrange(10_000),)
    lot = random.Random(seed)
    kinds = [_KINDS[number % len(_KINDS)] for number in range(_TRADES)]
    lot.shuffle(kinds)
    sku, _ = stack.product(_TRADES)
    client = Client(stack)
    functions = of_type("AWS::Serverless::Function").keys() - _BESIDE
    killer = Killer(_workers(stack), lot, Counter(dict.fromkeys(functions, _IN_A_CALL)), _PAUSE)
    began = time.monotonic()
    try:
        with killer.at_large(), client.time_passes(), ThreadPoolExecutor(_AT_ONCE) as threads:
            read = [code for codes in threads.map(lambda kind: kind(client, sku), kinds) for code in codes]
    finally:
        with capsys.disabled():
            print(f"\n{_told(killer, client)}\n{_TRADES} trades in {time.monotonic() - began:.0f} s")
            print(f'the same again, as far as it is drawn: KILLS="{_TRADES} {seed}"')
    assert len(set(read)) == len(read), "a card was read by two buyers"
    assert_sound(stack)
    alive = {function for function, left in killer.wanted.items() if left == _IN_A_CALL}
    assert not alive, "never killed in a call"


def _told(killer: Killer, client: Client) -> str:
    rows = [f"{'killed':24} in a call  at any moment"]
    for function in sorted({function for function, _ in killer.killed}):
        counts = (killer.killed[function, what] for what in ("in a call", "at any moment"))
        rows.append("{:24} {:9}  {:13}".format(function.removesuffix("Function"), *counts))
    asked = ", ".join(f"{count} {method}" for method, count in sorted(client.again.items()))
    return "\n".join([*rows, f"{killer.killed.total()} processes killed; asked again by clients: {asked or 'nothing'}"])
