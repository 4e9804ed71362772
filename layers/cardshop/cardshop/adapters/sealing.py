"""Cards sealed with AES-256-GCM under a data key that KMS wraps: one key per import attempt.

The key's encryption context names SKU and batch; each card's associated data names SKU and card id, so a sealed
code opens only as the card it was sealed as. Importing may only generate keys, revealing may only unwrap them.
"""

from __future__ import annotations

import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cardshop.adapters.aws import client, reached
from cardshop.domain.errors import Unavailable
from cardshop.ports import WrappedKey

_NONCE = 12  # bytes (NIST SP 800-38D); random, far below 2^32 cards a key


def _context(sku: str, batch: str) -> dict[str, str]:
    return {"sku": sku, "batch": batch}


def _bound(sku: str, card_id: str) -> bytes:
    return f"{sku}#{card_id}".encode()


class KmsSealer:
    """`ports.Sealer`."""

    def __init__(self, kms_key: str) -> None:
        self._kms_key = kms_key

    def new_key(self, sku: str, batch: str) -> tuple[WrappedKey, bytes]:
        with reached("KMS"):
            made = client("kms").generate_data_key(
                KeyId=self._kms_key, KeySpec="AES_256", EncryptionContext=_context(sku, batch)
            )
        return WrappedKey(secrets.token_hex(8), sku, batch, made["CiphertextBlob"]), made["Plaintext"]

    def seal(self, key: bytes, sku: str, card_id: str, code: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(key).encrypt(nonce, code.encode(), _bound(sku, card_id))


class KmsOpener:
    """`ports.Opener`."""

    def __init__(self, kms_key: str) -> None:
        self._kms_key = kms_key

    def unwrap(self, key: WrappedKey) -> bytes:
        with reached("KMS"):
            opened = client("kms").decrypt(
                KeyId=self._kms_key, CiphertextBlob=key.wrapped, EncryptionContext=_context(key.sku, key.batch)
            )
        return bytes(opened["Plaintext"])

    def open(self, key: bytes, sku: str, card_id: str, sealed: bytes) -> str:
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(sku, card_id)).decode()
        except InvalidTag as error:
            raise Unavailable("a sealed card does not open as the card it is filed as") from error
