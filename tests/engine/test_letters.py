"""Dead letters are shown, and sent back to where they came from; none is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from cardshop.adapters.aws import client
from cardshop.adapters.stream import new_trade
from cardshop.adapters.timeline import DynamoTimeline

from engine import letters as letters_module
from engine.letters import QUEUES, letters
from engine.processes import EngineError
from engine.stacks import Stack
from tests.adapters.cloud import messages, table_name
from tests.domain.builders import placed
from tests.engine.conftest import Functions
from tests.template.cloudformation import named, of_type

TRADES = [letter * 26 for letter in "abcde"]


def put(stack: Stack, name: str, *bodies: dict[str, Any], **attributes: str) -> None:
    given = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
    for body in bodies:
        url = stack.of(f"{name}DeadLetters")
        client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(body), MessageAttributes=given)


def run(stack: Stack, name: str, *, again: bool = False) -> list[str]:
    said: list[str] = []
    letters(stack, name, again=again, say=said.append)
    return said


def lying(stack: Stack, queue: str) -> int:
    """How many messages a queue holds, hidden ones too."""
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client("sqs").get_queue_attributes(QueueUrl=stack.of(queue), AttributeNames=counts)["Attributes"]
    return sum(int(found[count]) for count in counts)


def test_each_name_is_of_a_queue_of_dead_letters_and_leads_to_the_queue_that_fills_it() -> None:
    queues = of_type("AWS::SQS::Queue")
    fills = {
        str(named(queue["RedrivePolicy"]["deadLetterTargetArn"])).removesuffix("DeadLetters"): name
        for name, queue in queues.items()
        if "RedrivePolicy" in queue
    }
    assert fills == QUEUES


@pytest.mark.parametrize("name", QUEUES)
def test_letters_that_are_shown_stay(stack: Stack, name: str) -> None:
    bodies = [{"trade_id": trade_id} for trade_id in TRADES]
    put(stack, name, *bodies)
    assert sorted(run(stack, name)) == [json.dumps(body) for body in bodies]
    assert lying(stack, f"{name}DeadLetters") == 5
    assert lying(stack, QUEUES[name]) == 0


def test_more_letters_than_one_answer_holds_are_all_shown(stack: Stack) -> None:
    bodies = [{"pool": f"steam-50#batch#{number}"} for number in range(23)]
    put(stack, "CountStock", *bodies)
    assert sorted(run(stack, "CountStock")) == sorted(json.dumps(body) for body in bodies)


def test_a_letter_that_shows_up_again_meanwhile_is_said_once(stack: Stack) -> None:
    """Given letters that are hidden from nobody, the same one comes at every look."""
    client("sqs").set_queue_attributes(
        QueueUrl=stack.of("CountStockDeadLetters"), Attributes={"VisibilityTimeout": "0"}
    )
    put(stack, "CountStock", {"pool": "steam-50#batch#0"})
    said: list[str] = []

    def say(line: str) -> None:
        assert not said, "it goes round"
        said.append(line)

    letters(stack, "CountStock", again=False, say=say)
    assert len(said) == 1


@pytest.mark.parametrize("name", QUEUES)
def test_letters_sent_back_lie_in_the_queue_they_came_from_with_their_attributes(stack: Stack, name: str) -> None:
    put(stack, name, {"trade_id": TRADES[0]}, trade_id=TRADES[0])
    assert run(stack, name, again=True) == [json.dumps({"trade_id": TRADES[0]})]
    (back,) = messages(stack.of(QUEUES[name]))
    assert json.loads(back["Body"]) == {"trade_id": TRADES[0]}
    assert back["MessageAttributes"]["trade_id"]["StringValue"] == TRADES[0]
    assert lying(stack, f"{name}DeadLetters") == 0


def test_a_letter_that_cannot_be_sent_is_kept(stack: Stack) -> None:
    put(stack, "Notices", {"channel": "epay"}, {"channel": "other"})
    client("sqs").delete_queue(QueueUrl=stack.of("NoticesQueue"))
    with pytest.raises(EngineError, match="kept: 2"):
        run(stack, "Notices", again=True)
    assert lying(stack, "NoticesDeadLetters") == 2


# ---- batches that never left the stream ----


@pytest.fixture
def batch(stack: Stack) -> dict[str, Any]:
    """What Lambda writes when it gives up on a batch: here the second, third and fourth of five timelines' firsts."""
    described = client("dynamodb").update_table(
        TableName=table_name("TimelineTable"),
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    arn = described["TableDescription"]["LatestStreamArn"]
    for trade_id in TRADES:
        DynamoTimeline().append(trade_id, [placed().last_change])
    (shard,) = client("dynamodbstreams").describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    first = int(shard["SequenceNumberRange"]["StartingSequenceNumber"])
    where = {"streamArn": arn, "shardId": shard["ShardId"], "batchSize": 3}
    return {"DDBStreamBatchInfo": {**where, "startSequenceNumber": str(first + 1), "endSequenceNumber": str(first + 3)}}


def started(functions: Functions) -> list[str]:
    """The trades that `start_trade` would read out of what it was given."""
    assert {name for name, _ in functions.given} <= {"shop-StartTradeFunction"}
    works = [new_trade(DynamoDBRecord(record)) for _, event in functions.given for record in event["Records"]]
    return [work["trade_id"] for work in works if work]


@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_batch_sent_back_is_given_to_its_function(
    stack: Stack, functions: Functions, batch: dict[str, Any], page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages the stream answers it in. What lies behind it may come too: a record may come twice."""
    monkeypatch.setattr(letters_module, "_BATCH", page)
    put(stack, "StartTrade", batch)
    run(stack, "StartTrade", again=True)
    given = started(functions)
    assert given[:3] == TRADES[1:4]
    assert set(given[3:]) <= set(TRADES[4:])
    assert lying(stack, "StartTradeDeadLetters") == lying(stack, "StartTradeRetries") == 0


def test_a_batch_is_kept_when_its_function_fails_and_the_other_letters_go_back(
    stack: Stack, functions: Functions, batch: dict[str, Any]
) -> None:
    put(stack, "StartTrade", batch, {"trade_id": TRADES[0]})
    functions.broken = "Step Functions did not answer"
    with pytest.raises(EngineError, match="kept: 1"):
        run(stack, "StartTrade", again=True)
    assert lying(stack, "StartTradeDeadLetters") == 1
    (back,) = messages(stack.of("StartTradeRetries"))
    assert json.loads(back["Body"]) == {"trade_id": TRADES[0]}


def test_why_a_letter_is_kept_is_said_in_a_line(stack: Stack, functions: Functions, batch: dict[str, Any]) -> None:
    put(stack, "StartTrade", batch)
    functions.broken = "Step Functions did not answer"
    said: list[str] = []
    with pytest.raises(EngineError):
        letters(stack, "StartTrade", again=True, say=said.append)
    assert said == [json.dumps(batch), "kept: StartTradeFunction: Step Functions did not answer"]
