"""GET /webhooks/{id}: into the queue."""

import os
from typing import Any

import botocore.session

sqs: Any = botocore.session.get_session().create_client("sqs")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=event["pathParameters"]["id"])
    print("queued")
    return {"statusCode": 200, "body": "success"}
