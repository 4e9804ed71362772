"""A table's stream → one piece of work a record. What fails goes to the function's own queue and comes back from there.

A stream shard waits behind a record that fails; a queue does not. So the same function reads both: the stream first,
its own failures later (with the queue's dead letter behind them). Work must bear being done twice and out of order.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from cardshop.adapters.aws import client, reached
from cardshop.adapters.log import logger
from cardshop.domain.holding import Holding, holdings
from cardshop.domain.order import Actor, Change
from cardshop.domain.trade import Status

Work = dict[str, Any]  # JSON, small, no secret: it may lie in a queue
_FIRST = "EVENT#000001"  # of a timeline


class StreamConsumer:
    """The Lambda entry of a function fed by a stream and by the queue of its own failures (`RETRY_QUEUE_URL`)."""

    def __init__(
        self,
        read: Callable[[DynamoDBRecord], Work | None],
        do: Callable[[Work], None],
        together: Callable[[Iterable[Work]], Iterable[Work]] = lambda works: works,
    ) -> None:
        """`together` makes one piece of several, of those that one batch of records brings."""
        self._read = read
        self._do = do
        self._together = together

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> Any:
        records = event["Records"]
        if records and records[0]["eventSource"] == "aws:sqs":
            processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
            return process_partial_response(event, self._again, processor, context)
        works = list(self._together(_each_once(self._read(DynamoDBRecord(record)) for record in records)))
        for work in works:
            try:
                self._do(work)
            except Exception as error:  # noqa: BLE001  told in the log, and done again
                logger.exception("put aside to be tried again", extra={"work": work, "kind": type(error).__name__})
                self._put_aside(work)
        logger.info("streamed", extra={"records": len(records), "works": len(works)})
        return {}

    def _again(self, record: SQSRecord) -> None:
        self._do(json.loads(record.body))
        logger.info("done at a later try", extra={"tries": record.attributes.approximate_receive_count})

    @staticmethod
    def _put_aside(work: Work) -> None:
        with reached("the queue"):
            client("sqs").send_message(QueueUrl=os.environ["RETRY_QUEUE_URL"], MessageBody=json.dumps(work))


def _each_once(works: Iterable[Work | None]) -> Iterable[Work]:
    seen: set[str] = set()
    for work in works:
        if work is not None and (text := json.dumps(work, sort_keys=True)) not in seen:
            seen.add(text)
            yield work


def new_trade(record: DynamoDBRecord) -> Work | None:
    """The trade whose timeline has just begun: its order was placed."""
    entry = _new(record)
    if record.event_name is None or record.event_name.name != "INSERT" or entry["entry"] != _FIRST:
        return None
    return {"trade_id": entry["trade_id"]}


def changed_order(record: DynamoDBRecord) -> Work | None:
    """The order's last change; None if its version stayed (a task token was written)."""
    new, old = _new(record), _old(record)
    if not new or (old and old["version"] == new["version"]):
        return None
    change = {name: str(value) if name == "at" else value for name, value in new["change"].items()}
    return {
        "trade_id": new["trade_id"],
        "version": int(new["version"]),
        "status": new["status"],
        "change": change,
        "cards": _by_batch(new),
        "cards_before": _by_batch(old),
        "status_before": old.get("status"),
    }


def changed_image(record: DynamoDBRecord) -> dict[str, Any] | None:
    """The order after its change, in DynamoDB's own JSON; None as for `changed_order`."""
    return record["dynamodb"]["NewImage"] if changed_order(record) else None


def change_of(work: Work) -> Change:
    change = work["change"]
    actor = Actor(change["by"], change.get("terminal"), change.get("device"), change.get("address"))
    return Change(work["version"], change["what"], Status(work["status"]), int(change["at"]), actor)


def holdings_of(work: Work) -> list[Holding]:
    """What the trade has of each batch, if this change changed it."""

    def after(status: str, before: dict[str, int]) -> list[Holding]:
        return holdings(work["trade_id"], work["version"], Status(status), before, work["cards"])

    found = after(work["status"], work["cards_before"])
    if work["status_before"] is None or work["cards"] != work["cards_before"]:
        return found
    same = after(work["status_before"], work["cards_before"])
    return [] if found == same else found


def _by_batch(image: dict[str, Any]) -> dict[str, int]:
    """How many cards of each batch (`sku#batch`) the order names."""
    return dict(Counter(card.rpartition("#")[0] for card in image.get("cards", ())))


def moved_card(record: DynamoDBRecord) -> Work | None:
    """The pool a card left or came back to."""
    image = _new(record) or _old(record)
    return {"pool": image["pool"]}


def of_a_product(works: Iterable[Work]) -> list[Work]:
    """The pools of each product, together."""
    pools: dict[str, list[str]] = {}
    for work in works:
        pools.setdefault(work["pool"].partition("#")[0], []).append(work["pool"])
    return [{"pools": each} for each in pools.values()]


def _new(record: DynamoDBRecord) -> dict[str, Any]:
    return (record.dynamodb.new_image if record.dynamodb else None) or {}


def _old(record: DynamoDBRecord) -> dict[str, Any]:
    return (record.dynamodb.old_image if record.dynamodb else None) or {}
