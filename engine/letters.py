"""Dead letters: what the consumer of a queue or of a stream has given up on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from engine.processes import EngineError
from engine.stacks import Stack

#: Whose letters → the queue that they go back to.
QUEUES = {
    "Notices": "NoticesQueue",
    "StartTrade": "StartTradeRetries",
    "RecordEvents": "RecordEventsRetries",
    "CountStock": "CountStockRetries",
    "PushChanges": "PushChangesRetries",
}
_LOOK = 1  # seconds: without any, SQS answers from some of its servers only
_BATCH = 100  # records, as in the template: a function has time for so many


def letters(stack: Stack, name: str, *, again: bool, say: Callable[[str], None]) -> None:
    """Says every dead letter of `name`; `again` sends each back, and deletes it then.

    EngineError: some could not be sent back (the others were). They are kept, and sending one twice does no harm.
    """
    sqs, dead, back = stack.client("sqs"), stack.of(f"{name}DeadLetters"), stack.of(QUEUES[name])
    kept = 0
    for letter in _all(sqs, dead):
        body, attributes = letter["Body"], letter.get("MessageAttributes", {})
        say(body)
        if not again:
            continue
        try:
            if batch := json.loads(body).get("DDBStreamBatchInfo"):
                _run(stack, f"{name}Function", batch)
            else:
                sqs.send_message(QueueUrl=back, MessageBody=body, MessageAttributes=attributes)
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=letter["ReceiptHandle"])
        except (EngineError, ClientError) as error:
            say(f"kept: {error}")
            kept += 1
    if kept:
        raise EngineError(f"letters that could not be sent back, and are kept: {kept}")


def _all(sqs: Any, queue: str) -> Iterator[dict[str, Any]]:
    """Each letter once; for half a minute nobody else sees it. One that comes again by then ends it."""
    seen: set[str] = set()
    asked = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "WaitTimeSeconds": _LOOK}
    while found := sqs.receive_message(**asked).get("Messages"):
        for letter in found:
            if letter["MessageId"] in seen:
                return
            seen.add(letter["MessageId"])
            yield letter


def _run(stack: Stack, function: str, batch: dict[str, Any]) -> None:
    """Gives the function records that never left the stream: the letter says where they are, for a day."""
    streams, functions, name = stack.client("dynamodbstreams"), stack.client("lambda"), stack.of(function)
    first = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": batch["startSequenceNumber"]}
    at = streams.get_shard_iterator(StreamArn=batch["streamArn"], ShardId=batch["shardId"], **first)["ShardIterator"]
    reached, last = 0, int(batch["endSequenceNumber"])
    while reached < last:
        page = streams.get_records(ShardIterator=at, Limit=_BATCH)
        at, records = page.get("NextShardIterator"), page["Records"]
        if not records:
            continue
        event = json.dumps({"Records": records}, default=datetime.timestamp)
        answer = functions.invoke(FunctionName=name, Payload=event)
        if "FunctionError" in answer:
            raise EngineError(f"{function}: {json.load(answer['Payload'])['errorMessage']}")
        reached = int(records[-1]["dynamodb"]["SequenceNumber"])
