"""WebSocket $connect: who listens to which order."""

import os
from typing import Any

import botocore.session

dynamodb: Any = botocore.session.get_session().create_client("dynamodb")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    item = {
        "id": {"S": event["queryStringParameters"]["id"]},
        "connection": {"S": event["requestContext"]["connectionId"]},
    }
    dynamodb.put_item(TableName=os.environ["LISTENERS"], Item=item)
    print("connected")
    return {"statusCode": 200}
