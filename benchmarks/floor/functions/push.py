"""The orders' stream: each change of state to whoever listens to the order."""

import json
import os
from typing import Any

import botocore.session

session = botocore.session.get_session()
dynamodb: Any = session.create_client("dynamodb")
gateway: Any = session.create_client("apigatewaymanagementapi", endpoint_url=os.environ["PUSH_URL"])


def handler(event: dict[str, Any], context: object) -> None:
    for record in event["Records"]:
        old, new = record["dynamodb"]["OldImage"], record["dynamodb"]["NewImage"]
        if new["status"] == old["status"]:
            continue
        there = dynamodb.query(
            TableName=os.environ["LISTENERS"],
            KeyConditionExpression="id = :id",
            ExpressionAttributeValues={":id": new["id"]},
            ConsistentRead=True,
        )
        message = json.dumps({"status": new["status"]["S"]}).encode()
        for each in there["Items"]:
            gateway.post_to_connection(ConnectionId=each["connection"]["S"], Data=message)
    print("pushed")
