"""A card: one code. Its id says nothing about the code to anyone without the shop's secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_CARDS_PER_ORDER = 50  # a DynamoDB transaction holds 100 items: the order, and room to spare


def text_hmac(secret: bytes, *parts: str) -> str:
    """22 characters (128 bits) of URL-safe HMAC-SHA256; parts are length-prefixed, so none can run into the next."""
    message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
    return base64.urlsafe_b64encode(hmac.digest(secret, message, hashlib.sha256)[:16]).rstrip(b"=").decode()


def card_id(secret: bytes, code: str) -> str:
    """The same code has the same id in every file and for every product: a duplicate is found by a condition."""
    return text_hmac(secret, "card", code)


@dataclass(frozen=True, slots=True)
class Pool:
    """Where cards for sale lie: a batch of one product, cut into shards so that no partition runs hot."""

    sku: str
    batch: str
    shard: int

    @property
    def key(self) -> str:
        return f"{self.sku}#{self.batch}#{self.shard}"

    @classmethod
    def parse(cls, key: str) -> Pool:
        sku, batch, shard = key.split("#")
        return cls(sku, batch, int(shard))


@dataclass(frozen=True, slots=True)
class Card:
    """A card by name. `place` is its random sort key while it lies in the pool."""

    pool: Pool
    card_id: str
    place: str = ""

    def returned(self) -> Card:
        """Back to the same pool under a new random key: whoever still knows the old one cannot take it."""
        return Card(self.pool, self.card_id, random_place())


def random_place() -> str:
    """16 hex digits, uniform: a claim starts reading at a random one."""
    return secrets.token_hex(8)
