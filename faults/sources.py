"""Queues and streams, and how Lambda reads them: in batches, again after a failure, and no more after too many."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults.clock import MINUTE, clock
from faults.template import Queue, Source, queue_url

if TYPE_CHECKING:
    from faults.platform import Platform

_ACCOUNT = "us-east-1:123456789012"
_POLLED = 0.2  # seconds: whatever came meanwhile is one batch
LATE = 50 * MINUTE  # what is late comes when everything else is at rest, and no record is too old
_SLOWEST = 60.0  # seconds between two tries at a stream's batch
_numbers = itertools.count(1)


@dataclass
class Message:
    body: str
    attributes: dict[str, Any]
    sent: int
    visible: int  # milliseconds: nobody sees it before that
    number: int = field(default_factory=lambda: next(_numbers))
    receives: int = 0

    @property
    def receipt(self) -> str:
        return f"receipt-{self.number}"


class LiveQueue:
    """A queue that holds messages; `source` reads it, if anybody does."""

    def __init__(self, platform: Platform, queue: Queue, source: Source | None) -> None:
        self._platform = platform
        self._queue = queue
        self._source = source
        self.messages: list[Message] = []
        self.sent = 0

    def send(self, body: str, attributes: dict[str, Any]) -> str:
        message = Message(body, attributes, clock.now, clock.now + self._queue.delay * 1000)
        self.messages.append(message)
        self.sent += 1
        self._read_at(message)
        return f"message-{message.number}"

    def hide(self, receipt: str, seconds: int) -> None:
        for message in self.messages:
            if message.receipt == receipt:
                message.visible = clock.now + seconds * 1000
                self._read_at(message)

    def _read_at(self, message: Message) -> None:
        if self._source is not None:
            self._platform.at((message.visible - clock.now) / 1000 + _POLLED, self._read)

    def _read(self) -> None:
        assert self._source is not None
        there = [each for each in self.messages if each.visible <= clock.now]
        batch = [each for each in there if not self._given_up(each)][: self._source.batch_size]
        if not batch:
            return
        what = f"{self._queue.logical} -> {self._source.function} x{len(batch)}"
        wrong = self._platform.plan.at(what, "twice", "again", "late")
        if wrong == "late":
            for message in batch:
                message.visible = clock.now + LATE * 1000
                self._read_at(message)
            return
        for message in batch:
            message.receives += 1
            message.visible = clock.now + self._queue.hidden * 1000
        failed = self._hand_over(batch)
        if wrong == "twice":
            self._hand_over(batch)
        if wrong == "again":
            self._platform.at(LATE, lambda: self._hand_over(batch))
        for message in batch:
            if message.number in failed:
                self._read_at(message)
            else:
                self.messages.remove(message)
        if len(there) > len(batch):
            self._platform.at(_POLLED, self._read)

    def _given_up(self, message: Message) -> bool:
        if self._queue.receives is None or message.receives < self._queue.receives:
            return False
        assert self._queue.gives_up_to is not None
        self.messages.remove(message)
        self._platform.queues[self._queue.gives_up_to].send(message.body, message.attributes)
        return True

    def _hand_over(self, batch: Sequence[Message]) -> set[int]:
        """Those that are not done."""
        assert self._source is not None
        records = [self._record(message) for message in batch]
        outcome = self._platform.invoke(self._source.function, {"Records": records})
        if outcome.error is not None:
            return {message.number for message in batch}
        failures = {each["itemIdentifier"] for each in (outcome.value or {}).get("batchItemFailures", [])}
        return {message.number for message in batch if f"message-{message.number}" in failures}

    def _record(self, message: Message) -> dict[str, Any]:
        named = {
            name: {"stringValue": value.get("StringValue"), "dataType": value["DataType"]}
            for name, value in message.attributes.items()
        }
        return {
            "messageId": f"message-{message.number}",
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(message.sent),
                "SenderId": "-",
                "ApproximateFirstReceiveTimestamp": str(clock.now),
            },
            "messageAttributes": named,
            "md5OfBody": "-",
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{_ACCOUNT}:{self._queue.logical}",
            "awsRegion": "us-east-1",
        }

    @property
    def url(self) -> str:
        return queue_url(self._queue.logical)


@dataclass
class Record:
    name: str  # INSERT, MODIFY, REMOVE
    key: dict[str, Any]
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    at: int
    number: int = field(default_factory=lambda: next(_numbers))


@dataclass
class _Batch:
    records: list[Record]
    tries: int = 0


class Reader:
    """One function's place in one table's stream: a batch that fails holds up what is behind it."""

    def __init__(self, platform: Platform, source: Source) -> None:
        self._platform = platform
        self._source = source
        self._waiting: deque[Record] = deque()
        self._batches: deque[_Batch] = deque()
        self._scheduled = False
        self._reads = False

    def add(self, record: Record) -> None:
        if self._source.wants(self._event(record)):
            self._waiting.append(record)
            self._go_on(_POLLED)

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._batches

    def _go_on(self, seconds: float) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._platform.at(seconds, self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self._reads:  # a function that stands still holds its batch, and all that is behind it
            return
        if not self._batches:
            size = min(len(self._waiting), self._source.batch_size)
            batch = _Batch([self._waiting.popleft() for _ in range(size)])
            if not self._accept(batch):
                return
        self._reads = True
        pause = self._try(self._batches[0])
        self._reads = False
        if self._batches or self._waiting:
            self._go_on(pause)

    def _accept(self, batch: _Batch) -> bool:
        """Whether it is read now."""
        records = batch.records
        what = f"{self._source.stream} -> {self._source.function} {','.join(each.name for each in records)}"
        kinds = ["twice", "again", "late", "overtaken"]
        if len(records) > 1:
            kinds.append("reversed")
        wrong = self._platform.plan.at(what, *kinds)
        if wrong == "overtaken":
            self._platform.at(LATE, lambda: self._platform_again(batch))
            if self._waiting:
                self._go_on(_POLLED)
            return False
        if wrong == "reversed":
            records.reverse()
        if wrong == "again":
            self._platform.at(LATE, lambda: self._platform_again(_Batch(list(records))))
        self._batches.append(batch)
        if wrong == "twice":
            self._batches.append(_Batch(list(records)))
        if wrong == "late":
            self._go_on(LATE)
            return False
        return True

    def _platform_again(self, batch: _Batch) -> None:
        self._batches.append(batch)
        self._go_on(0)

    def _try(self, batch: _Batch) -> float:
        """Seconds until the next step."""
        outcome = self._platform.invoke(
            self._source.function, {"Records": [self._event(each) for each in batch.records]}
        )
        failures = (outcome.value or {}).get("batchItemFailures", []) if outcome.error is None else []
        if outcome.error is None and not failures:
            self._batches.popleft()
            return _POLLED
        if failures:  # from the first of them on
            first = min(int(each["itemIdentifier"]) for each in failures)
            batch.records = [each for each in batch.records if each.number >= first]
        batch.tries += 1
        oldest = min(each.at for each in batch.records)
        if batch.tries > self._source.retries or clock.now - oldest > self._source.max_age * 1000:
            self._batches.popleft()
            assert self._source.gives_up_to is not None
            self._platform.queues[self._source.gives_up_to].send("a stream's records", {})
        elif self._source.bisects and outcome.error is not None and len(batch.records) > 1:
            self._batches.popleft()
            half = len(batch.records) // 2
            self._batches.appendleft(_Batch(batch.records[half:], batch.tries))
            self._batches.appendleft(_Batch(batch.records[:half], batch.tries))
        return float(min(_SLOWEST, 2 ** (batch.tries - 1)))

    def _event(self, record: Record) -> dict[str, Any]:
        images = {"OldImage": record.old, "NewImage": record.new}
        return {
            "eventID": str(record.number),
            "eventName": record.name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": record.at // 1000,
                "Keys": record.key,
                **{name: value for name, value in images.items() if value is not None},
                "SequenceNumber": str(record.number),
                "SizeBytes": 1,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": f"arn:aws:dynamodb:{_ACCOUNT}:table/{self._source.stream}/stream/2025-11-22T00:00:00.000",
        }
