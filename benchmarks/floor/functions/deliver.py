"""The machine's task: delivered."""

import os
from typing import Any

import botocore.session

dynamodb: Any = botocore.session.get_session().create_client("dynamodb")


def handler(event: dict[str, Any], context: object) -> None:
    dynamodb.update_item(
        TableName=os.environ["TABLE"],
        Key={"id": {"S": event["id"]}},
        UpdateExpression="SET #status = :delivered REMOVE task_token",
        ConditionExpression="#status = :paid",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":delivered": {"S": "delivered"}, ":paid": {"S": "paid"}},
    )
    print("delivered")
