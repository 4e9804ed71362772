"""JSON Web Tokens (RFC 7519, HS256): an order's holder, and operators.

The key is found by `kid` among the secret's current and previous version and nothing else; the algorithm is fixed
here, never taken from the token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from cardshop.adapters.settings import SigningKey
from cardshop.domain.errors import Unauthorized

_ALGORITHM = "HS256"
_LEEWAY = 5  # seconds


class Keys(Protocol):
    def current(self) -> SigningKey: ...

    def by_kid(self, kid: str) -> SigningKey | None: ...


@dataclass(frozen=True, slots=True)
class Bearer:
    subject: str
    terminal: str | None
    device: str | None
    until: int  # when the session ends, seconds


def issue(
    keys: Keys,
    *,
    audience: str,
    subject: str,
    lifetime: int,
    terminal: str | None = None,
    device: str | None = None,
    now: Callable[[], float] = time.time,
) -> str:
    """A token for `subject`, good for `lifetime` seconds."""
    key = keys.current()
    issued = int(now())
    claims: dict[str, Any] = {"aud": audience, "sub": subject, "iat": issued, "exp": issued + lifetime}
    if terminal:
        claims["terminal"] = terminal
    if device:
        claims["device"] = device
    return jwt.encode(claims, key.key, algorithm=_ALGORITHM, headers={"kid": key.kid})


def verify(keys: Keys, header: str | None, *, audience: str) -> Bearer:
    """The bearer of an `Authorization: Bearer …` header (RFC 6750). Unauthorized for anything else."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Authorization: Bearer <token> is missing")
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = keys.by_kid(kid) if isinstance(kid, str) else None
        if key is None:
            raise Unauthorized("the token is not ours")
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[_ALGORITHM],
            audience=audience,
            leeway=_LEEWAY,
            # Issued in the future says that two workers' clocks differ, not that the token is none of ours.
            options={"require": ["exp", "iat", "sub", "aud"], "verify_iat": False},
        )
    except jwt.PyJWTError as error:
        raise Unauthorized("the token is not valid") from error
    return Bearer(claims["sub"], claims.get("terminal"), claims.get("device"), int(claims["exp"]))
