"""What a request may hold: strict types, no unknown fields. A refusal names the field, never its value.

A function reads one or two of these, so each is built when it is first read (`defer_build`).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cardshop.domain.card import SKU
from cardshop.domain.errors import BodyTooLarge, InvalidRequest, Unprocessable
from cardshop.domain.money import Money

MAX_BODY = 64 * 1024  # bytes; only an import is larger
Terminal = Literal["pc", "mobile", "miniapp", "api"]
Sku = Annotated[str, Field(pattern=f"^{SKU.pattern}$", max_length=64)]
DeviceId = Annotated[str, Field(min_length=1, max_length=128)]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class OrderItem(Strict):
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=1_000_000_000)]


class Contact(Strict):
    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class Payer(Strict):
    openid: Annotated[str, Field(min_length=1, max_length=128)]


class OrderRequest(Strict):
    items: Annotated[list[OrderItem], Field(min_length=1, max_length=50)]
    channel: Annotated[str, Field(min_length=1, max_length=64)]
    terminal: Terminal
    device_id: DeviceId | None = None
    contact: Contact | None = None
    query_password: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    payer: Payer | None = None

    @field_validator("items")
    @classmethod
    def each_sku_once(cls, items: list[OrderItem]) -> list[OrderItem]:
        if len({item.sku for item in items}) != len(items):
            raise ValueError("the same sku twice")
        return items


class Whence(Strict):
    """Where a buyer's request comes from, if that is another terminal than the order's token names."""

    terminal: Terminal | None = None
    device_id: DeviceId | None = None


class PaymentRequest(Whence):
    channel: Annotated[str, Field(min_length=1, max_length=64)]
    payer: Payer | None = None


class LookupRequest(Whence):
    trade_id: Annotated[str, Field(min_length=1, max_length=128)]
    query_password: Annotated[str, Field(min_length=1)]


class HandoffRequest(Strict):
    code: Annotated[str, Field(min_length=1, max_length=128)]
    terminal: Terminal
    device_id: DeviceId | None = None


class Price(Strict):
    minor: Annotated[int, Field(ge=1, le=100_000_000_000)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]

    def money(self) -> Money:
        return Money(self.minor, self.currency)


class ProductRequest(Strict):
    name: Annotated[str, Field(min_length=1, max_length=120)]
    price: Price
    status: Literal["on_sale", "hidden"]
    category: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    description: Annotated[str, Field(min_length=1, max_length=2000)] | None = None


Words = Annotated[str, Field(min_length=1, max_length=500)]
ProviderRef = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]
PaymentId = Annotated[str, Field(min_length=1, max_length=64)]


class ConfirmRequest(Strict):
    """`provider_ref`: the provider's number of the money that the operator has seen there."""

    note: Words
    provider_ref: ProviderRef
    payment_id: PaymentId | None = None
    amount: Price | None = None


class RefundRequest(Strict):
    """`provider_ref`: it was sent by hand, under this number. Without it, the shop asks the provider to send it."""

    note: Words
    payment_id: PaymentId | None = None
    amount: Price | None = None
    provider_ref: ProviderRef | None = None


class KeepRequest(Strict):
    note: Words


class BatchRequest(Strict):
    status: Literal["on_sale", "withdrawn"]


class OfferRequest(Strict):
    offered: bool
    title: Annotated[str, Field(min_length=1, max_length=40)] | None = None


class ChannelRequest(BaseModel):
    """The provider, and that provider's own settings beside it (each a string)."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, defer_build=True)

    provider: str

    def settings(self) -> dict[str, str]:
        given = self.model_extra or {}
        for name, value in given.items():
            if not isinstance(value, str) or len(value) > 4096:
                raise InvalidRequest(f"{name}: must be a string")
        return dict(given)


_Body = TypeVar("_Body", bound=BaseModel)


def read(schema: type[_Body], body: bytes) -> _Body:
    """The body as this schema. 413 too large, 400 not JSON, 422 not of this shape."""
    if len(body) > MAX_BODY:
        raise BodyTooLarge(f"at most {MAX_BODY} bytes")
    try:
        document: Any = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("the body is not JSON") from error
    if not isinstance(document, dict):
        raise InvalidRequest("the body is not a JSON object")
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unprocessable(f"{where}: {first['msg']}") from error
