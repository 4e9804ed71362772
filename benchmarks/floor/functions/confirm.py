"""The queue: paid, and the machine woken."""

import os
from typing import Any

import botocore.session

session = botocore.session.get_session()
dynamodb: Any = session.create_client("dynamodb")
states: Any = session.create_client("stepfunctions")


def handler(event: dict[str, Any], context: object) -> None:
    for record in event["Records"]:
        answer = dynamodb.update_item(
            TableName=os.environ["TABLE"],
            Key={"id": {"S": record["body"]}},
            UpdateExpression="SET #status = :paid",
            ConditionExpression="#status = :pending",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":paid": {"S": "paid"}, ":pending": {"S": "pending"}},
            ReturnValues="ALL_NEW",
        )
        states.send_task_success(taskToken=answer["Attributes"]["task_token"]["S"], output="{}")
        print("paid")
