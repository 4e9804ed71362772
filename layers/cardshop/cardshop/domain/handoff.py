"""The code by which an order's holder hands it over to another terminal: shown there as a QR code, good once."""

from __future__ import annotations

import hashlib
import secrets

LIFETIME_MS = 120_000


def new_code() -> str:
    """27 URL-safe characters: 160 bits that nobody guesses in its lifetime."""
    return secrets.token_urlsafe(20)


def digest(code: str) -> str:
    """What is kept of it: whoever reads the store cannot use it."""
    return hashlib.sha256(code.encode()).hexdigest()
