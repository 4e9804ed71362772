"""What a shop took from AWS between two moments: its functions' calls, its machine's work, what Lambda and SQS add.

The machine's own calls do not pass the proxy. Its writes are found in the orders' stream, where a task token appears
and nothing else changes; its transitions in the executions' histories.

The engine's task tokens have 36 bytes, AWS's about a thousand: every write of an order that bears one, before or after,
is charged here as if it had `TOKEN_BYTES`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.capacity import Item, item_size, write_units
from benchmarks.prices import Use
from benchmarks.proxy import Call, Proxy
from benchmarks.stage import function_name, resources
from tests.house import House, wait_until

TOKEN_BYTES = 1024
#: Secrets and settings, which each worker keeps: some every minute or five, whatever is sold meanwhile.
CACHED = {"ssm", "secretsmanager"}
_SILENCE = 1.2  # seconds without a call: streams and queues have been read
_OF_LAMBDA = ("START ", "END ", "REPORT ")
_SERVED_BY_LAMBDA = 2  # SQS requests a message: received and deleted

Image = Item | None


@dataclass(frozen=True, slots=True)
class Took:
    use: Use = field(default_factory=Use)
    calls: Counter[str] = field(default_factory=Counter)  # by kind; the machine's and Lambda's own among them
    invocations: Counter[str] = field(default_factory=Counter)  # by function
    units: Counter[str] = field(default_factory=Counter)  # by table or table/index, `write ` or `read ` before it
    cached: int = 0
    largest_order: int = 0  # bytes, without its token

    def __add__(self, other: Took) -> Took:
        return Took(
            self.use + other.use,
            self.calls + other.calls,
            self.invocations + other.invocations,
            self.units + other.units,
            self.cached + other.cached,
            max(self.largest_order, other.largest_order),
        )


class Meter:
    def __init__(self, house: House, proxy: Proxy) -> None:
        self._house, self._proxy = house, proxy
        functions = resources(house.home, house.stack, "AWS::Lambda::Function")
        tables = resources(house.home, house.stack, "AWS::DynamoDB::Table")
        self._logs = {(name := function_name(logical)): f"/{house.stack}/{name}" for logical in functions}
        self._tables = {physical: logical for logical, physical in tables.items()}
        self._orders = Stream(house, "Orders")
        self._calls = 0
        self._logged: Counter[str] = Counter()
        self._reports: Counter[str] = Counter()
        self._machine: Counter[str] = Counter()
        self.took(requests=0)

    def _quiet(self) -> None:
        """Until nothing has been called for a while."""
        wait_until(lambda: self._proxy.silence > _SILENCE, lambda: "the functions never rest")

    def took(self, *, requests: int) -> Took:
        """What was taken since the last time; `requests`: how many the buyers sent meanwhile."""
        self._quiet()
        calls = self._proxy.calls[self._calls :]
        self._calls += len(calls)
        paid = [call for call in calls if call.service not in CACHED]
        kinds = Counter(call.kind for call in paid)
        units = self._units(paid)
        machine = self._machine_since()
        largest = 0
        for old, new in self._orders.new():
            if new is None:
                continue
            largest = max(largest, item_size({k: v for k, v in new.items() if k != "task_token"}))
            if _tokens_only(old, new):
                kinds["machine dynamodb:UpdateItem"] += 1
                units["write OrdersTable"] += write_units(_size(old, new, TOKEN_BYTES))
            else:
                units["write OrdersTable"] += token_surcharge(old, new)
        kinds["machine dynamodb:UpdateItem"] += machine["refused"]
        units["write OrdersTable"] += machine["refused"]
        kinds["machine lambda:Invoke"] += machine["invoked"]
        invocations, log_bytes = self._invocations_since()
        messages = kinds["sqs:SendMessage"]
        kinds["lambda's sqs:ReceiveMessage + DeleteMessage"] += _SERVED_BY_LAMBDA * messages
        use = Use(
            transitions=machine["transitions"],
            writes=_sum(units, "write "),
            reads=_sum(units, "read "),
            requests=requests,
            invocations=sum(invocations.values()),
            sqs=sum(call.service == "sqs" for call in paid) + _SERVED_BY_LAMBDA * messages,
            kms=sum(call.service == "kms" for call in paid),
            log_bytes=log_bytes,
        )
        return Took(use, +kinds, invocations, +units, len(calls) - len(paid), largest)

    def _units(self, calls: list[Call]) -> Counter[str]:
        units: Counter[str] = Counter()
        for call in calls:
            for each in call.used:
                where = self._tables[each.table] + (f"/{each.index}" if each.index else "")
                units[f"read {where}"] += each.reads  # type: ignore[assignment]  # a Counter holds halves as well
                units[f"write {where}"] += each.writes  # type: ignore[assignment]
        return units

    def _invocations_since(self) -> tuple[Counter[str], int]:
        """(invocations by function, bytes logged): each ends with a REPORT line in the function's own group.

        Which AWS does not write, as the template asks (`SystemLogLevel`); this engine always does.
        """
        pages = self._house.aws("logs").get_paginator("filter_log_events")
        reports: Counter[str] = Counter()
        logged: Counter[str] = Counter()
        for function, group in self._logs.items():
            for page in pages.paginate(logGroupName=group):
                for event in page["events"]:
                    message = event["message"]
                    reports[function] += message.startswith("REPORT ")
                    if not message.startswith(_OF_LAMBDA):
                        logged[function] += len(message.encode())
        since, bytes_since = reports - self._reports, (logged - self._logged).total()
        self._reports, self._logged = reports, logged
        return since, bytes_since

    def _machine_since(self) -> Counter[str]:
        states = self._house.aws("stepfunctions")
        total: Counter[str] = Counter()
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=self._house.outputs["StateMachineArn"])
        for page in pages:
            for execution in page["executions"]:
                history = states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
                total += _counted([event for part in history for event in part["events"]])
        since = total - self._machine
        self._machine = total
        return since


class Stream:
    """A table's items before and after each write, in turn."""

    def __init__(self, house: House, table: str) -> None:
        self._streams = house.aws("dynamodbstreams")
        (found,) = self._streams.list_streams(TableName=house.outputs[f"{table}Table"])["Streams"]
        arn = found["StreamArn"]
        self._iterators = [
            self._streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
            for shard in self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        ]

    def new(self) -> Iterator[tuple[Image, Image]]:
        """Those since the last time."""
        for index, iterator in enumerate(self._iterators):
            following = iterator
            while True:
                answer = self._streams.get_records(ShardIterator=following, Limit=1000)
                following = answer["NextShardIterator"]
                for record in answer["Records"]:
                    images = record["dynamodb"]
                    yield images.get("OldImage"), images.get("NewImage")
                if not answer["Records"]:
                    break
            self._iterators[index] = following


def token_surcharge(old: Image, new: Item) -> int:
    """Write units that AWS charges for this write of a function's and the engine does not."""
    extra = write_units(_size(old, new, TOKEN_BYTES)) - write_units(_size(old, new))
    return 2 * extra if _moves_cards(old, new) else extra


def _size(old: Image, new: Item, token_bytes: int | None = None) -> int:
    return max(item_size(_with_token(image, token_bytes)) for image in (old, new) if image)


def _with_token(image: Item, token_bytes: int | None) -> Item:
    if token_bytes is None or "task_token" not in image:
        return image
    return {**image, "task_token": {"S": "t" * token_bytes}}


def _moves_cards(old: Image, new: Item) -> bool:
    """Such a write is a transaction, and charged twice."""
    return old is None or old["cards"] != new["cards"]


def _tokens_only(old: Image, new: Item) -> bool:
    """Whether it was the machine that wrote: a token came, and the version stayed."""
    return old is not None and old["version"] == new["version"] and old.get("task_token") != new.get("task_token")


def _counted(events: list[Any]) -> Counter[str]:
    """States entered and tries made again, functions invoked, writes refused."""
    kinds = Counter(event["type"] for event in events)
    entered = sum(count for kind, count in kinds.items() if kind.endswith("StateEntered"))
    scheduled = [event["taskScheduledEventDetails"] for event in events if event["type"] == "TaskScheduled"]
    failed = [event["taskFailedEventDetails"].get("error") for event in events if event["type"] == "TaskFailed"]
    return Counter(
        transitions=max(entered, len(scheduled)),
        invoked=sum(each["resourceType"] == "lambda" for each in scheduled),
        refused=failed.count("DynamoDb.ConditionalCheckFailedException"),
    )


def _sum(units: Counter[str], start: str) -> float:
    return sum(count for name, count in units.items() if name.startswith(start))
