"""After a run, no card code and no key stands anywhere that is not made to keep it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.house import House
from tests.invariants.checker import assert_sound


def test_no_code_and_no_key_anywhere(house: House) -> None:
    sku, codes = house.product(4)
    placed = house.placed(sku, 2, query_password="open sesame", contact={"email": "buyer@example.com"})
    house.pay(placed)
    house.until(placed, "delivered")
    assert set(house.cards(placed)) <= set(codes)
    house.api.post(f"/admin/products/{sku}/cards", headers=house.operator, content=f"{codes[0]}\0")
    house.api.post("/orders", headers={"Idempotency-Key": "x" * 22}, content=codes[0])
    assert_sound(house)

    secrets = house.aws("secretsmanager")
    stored = secrets.list_secrets()["SecretList"]
    values = [secrets.get_secret_value(SecretId=each["ARN"])["SecretString"] for each in stored]
    assert len(values) >= 4
    forbidden = {**dict.fromkeys(codes, "a card code"), house.merchant[1]: "the channel's key"}
    forbidden |= dict.fromkeys(values, "a secret") | {"open sesame": "a password"}
    forbidden |= {placed["token"]: "an order's token"}

    seen: set[str] = set()
    found = []
    for where, text in _everything(house):
        seen.add(where.split(" ")[0])
        found += [f"{what} in {where}" for secret, what in forbidden.items() if secret in text]
    assert found == []
    assert seen >= {"log", "stream", "execution", "table", "queue"}, "the search itself has seen each kind of place"


def _everything(house: House) -> Iterator[tuple[str, str]]:
    logs = house.aws("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix=f"/{house.stack}/")["logGroups"]:
        name = group["logGroupName"]
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
            for event in page["events"]:
                yield f"log {name}", event["message"]
    streams = house.aws("dynamodbstreams")
    for stream in streams.list_streams()["Streams"]:
        described = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]
        for shard in described["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = streams.get_records(ShardIterator=iterator)
                if not page["Records"]:
                    break
                yield f"stream {stream['TableName']}", json.dumps(page["Records"], default=str, ensure_ascii=False)
                iterator = page.get("NextShardIterator")
    states = house.aws("stepfunctions")
    machine = house.outputs["StateMachineArn"]
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            history = states.get_execution_history(executionArn=execution["executionArn"])["events"]
            yield f"execution {execution['name']}", json.dumps(history, default=str, ensure_ascii=False)
    for table in ("Orders", "Timeline", "Stock", "Catalogue", "Sealed"):
        yield f"table {table}", json.dumps(house.items(table), default=str, ensure_ascii=False)
    for url in house.aws("sqs").list_queues(QueueNamePrefix=f"{house.stack}-")["QueueUrls"]:
        taken = house.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        yield f"queue {url}", json.dumps(taken.get("Messages", []), ensure_ascii=False)
    for name in ("engine.log", "provider.log"):
        yield f"file {name}", (house.home.path / name).read_text(errors="replace")
