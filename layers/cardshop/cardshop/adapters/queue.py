"""The queue between a provider's call and its effect."""

from __future__ import annotations

import base64
import json

from cardshop.adapters.aws import client, reached
from cardshop.domain.payment import Notice
from cardshop.ports import QueuedNotice


def dumps(queued: QueuedNotice) -> str:
    notice = queued.notice
    return json.dumps(
        {
            "channel": queued.channel,
            "received_at": queued.received_at,
            "method": notice.method,
            "query": notice.query,
            "headers": notice.headers,
            "body": base64.b64encode(notice.body).decode(),
        },
        ensure_ascii=False,
    )


def loads(text: str) -> QueuedNotice:
    message = json.loads(text)
    notice = Notice(
        method=message["method"],
        query=tuple((name, value) for name, value in message["query"]),
        headers=message["headers"],
        body=base64.b64decode(message["body"]),
    )
    return QueuedNotice(message["channel"], notice, message["received_at"])


class SqsNoticeQueue:
    """`ports.NoticeQueue`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def put(self, queued: QueuedNotice, trade_id: str) -> None:
        with reached("the queue"):
            client("sqs").send_message(
                QueueUrl=self._url,
                MessageBody=dumps(queued),
                MessageAttributes={"trade_id": {"DataType": "String", "StringValue": trade_id or "-"}},
            )

    def delay(self, receipt_handle: str, seconds: int) -> None:
        """Show a message again only after this long, instead of the queue's own visibility time-out."""
        with reached("the queue"):
            client("sqs").change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
