"""Who may open a card, tried with the functions' own roles: `reveal_cards`, and nobody else on a buyer's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.iam.shop import Shop

_DENIED = {"AccessDenied", "AccessDeniedException"}


@contextmanager
def _as(shop: Shop, role: str) -> Iterator[boto3.Session]:
    """With the credentials of this role, as Lambda gives them to its function."""
    with shop.roles.assumable(role) as arn:
        given = shop.aws("sts").assume_role(RoleArn=arn, RoleSessionName="tried")["Credentials"]
        yield boto3.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name="us-east-1",
        )


@pytest.fixture(scope="module")
def sealed(least: Shop) -> tuple[dict[str, Any], dict[str, Any]]:
    """A sealed card and the wrapped key that seals it, as they lie in the table."""
    least.product(1)
    items = least.items("Sealed")
    card = next(item for item in items if not item["id"]["S"].startswith("KEY#"))
    key = next(item for item in items if item["id"]["S"] == f"KEY#{card['key_id']['S']}")
    return card, key


def _read(shop: Shop, session: boto3.Session, identity: str) -> Any:
    client: Any = session.client("dynamodb", endpoint_url=shop.home.endpoint)
    table = shop.outputs["SealedTable"]
    found = client.batch_get_item(RequestItems={table: {"Keys": [{"id": {"S": identity}}]}})
    return found["Responses"][table]


def _opened(shop: Shop, session: boto3.Session, key: dict[str, Any]) -> bytes:
    client: Any = session.client("kms", endpoint_url=shop.home.endpoint)
    context = {"sku": key["sku"]["S"], "batch": key["batch"]["S"]}
    opened = client.decrypt(
        KeyId=shop.resources["SealingKey"], CiphertextBlob=key["sealed"]["B"], EncryptionContext=context
    )
    return bytes(opened["Plaintext"])


def test_who_reveals_cards_may_open_them(least: Shop, sealed: tuple[dict[str, Any], dict[str, Any]]) -> None:
    card, key = sealed
    with _as(least, "RevealCardsRole") as session:
        assert _read(least, session, card["id"]["S"])[0]["sealed"] == card["sealed"]
        assert len(_opened(least, session, key)) == 32


@pytest.mark.parametrize("role", ["ReceiveNoticeRole", "PlaceOrderRole", "ViewOrderRole"])
def test_nobody_else_on_a_buyers_way_may(least: Shop, sealed: tuple[dict[str, Any], dict[str, Any]], role: str) -> None:
    card, key = sealed
    with _as(least, role) as session:
        dynamodb: Any = session.client("dynamodb", endpoint_url=least.home.endpoint)
        tries = (
            lambda: _opened(least, session, key),
            lambda: _read(least, session, card["id"]["S"]),
            lambda: dynamodb.get_item(TableName=least.outputs["SealedTable"], Key={"id": card["id"]}),
            lambda: dynamodb.query(
                TableName=least.outputs["SealedTable"],
                KeyConditionExpression="id = :id",
                ExpressionAttributeValues={":id": card["id"]},
            ),
            lambda: dynamodb.scan(TableName=least.outputs["SealedTable"]),
        )
        for attempt in tries:
            with pytest.raises(ClientError) as refused:
                attempt()
            assert refused.value.response["Error"]["Code"] in _DENIED
