"""GET /orders/{id}: one read."""

import json
import os
from typing import Any

import botocore.session

dynamodb: Any = botocore.session.get_session().create_client("dynamodb")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    key = {"id": {"S": event["pathParameters"]["id"]}}
    item = dynamodb.get_item(TableName=os.environ["TABLE"], Key=key, ConsistentRead=True)["Item"]
    print("viewed")
    return {"statusCode": 200, "body": json.dumps({"status": item["status"]["S"]})}
