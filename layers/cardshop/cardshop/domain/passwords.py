"""Query passwords: scrypt records (RFC 7914), never the password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

_N, _R, _P, _BYTES = 2**14, 8, 1, 24  # ≈ 50 ms and 16 MiB a try


def record(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"{_text(salt)}.{_text(_derive(password, salt))}"


def impossible() -> str:
    """A record that no password matches, at the same cost."""
    return f"{_text(secrets.token_bytes(16))}.-"


def matches(password: str, recorded: str) -> bool:
    salt, _, derived = recorded.partition(".")
    return hmac.compare_digest(_text(_derive(password, base64.b64decode(salt))), derived)


def _derive(password: str, salt: bytes) -> bytes:
    # hashed first, so that a long password costs no more time than a short one
    digest = hashlib.sha256(password.encode()).digest()
    return hashlib.scrypt(digest, salt=salt, n=_N, r=_R, p=_P, dklen=_BYTES)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
