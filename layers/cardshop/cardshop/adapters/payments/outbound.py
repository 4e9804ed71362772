"""Calls to a provider's host.

An operator names the host, so it is a stranger's: https to public addresses only, no redirects, no proxies, bounded
answers. Providers simulated on this machine are reached by plain http. URLs and headers hold keys: no error names them.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from cardshop.adapters.payments import wire
from cardshop.domain.errors import Unavailable

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_MAX_ANSWER = 256 * 1024  # bytes
_CHUNK = 16 * 1024
_TIMEOUT = Timeout(connect=2, read=5)  # seconds
_TRIES = 3
_BACKOFF = 0.1  # seconds, doubled at each try
_PATIENCE = 12  # seconds since the first try, after which there is no other
_SHORT = ("0", "1", "2")  # seconds of `Retry-After` that are waited for; anything else, a date too, ends the tries

pause = time.sleep  # tests put their own here
clock = time.monotonic


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str] = field(repr=False)  # names in lower case
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The JSON object that is the body, read as strictly as a notice; Unavailable if it is none."""
        try:
            return wire.json_object(self.body, _MAX_ANSWER)
        except ValueError:
            raise Unavailable("the provider's answer is no JSON object") from None


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] = {},
    body: bytes | None = None,
    hosts: Collection[str] | None = None,
    repeatable: bool = True,
) -> Answer:
    """Ask a provider. Every answer but a 429 or a 5xx is an answer; Unavailable if none came.

    `hosts`: who may be asked, as `host` or `host:port`; None for anybody. `repeatable`: sending it three times is as
    good as once, so that silence, a 429 and a 5xx are tried again.
    """
    _refuse_strangers(url, hosts)
    began, tries = clock(), _TRIES if repeatable else 1
    for tried in range(1, tries + 1):
        answer = _ask(method, url, headers, body)
        if answer is not None and answer.status != 429 and answer.status < 500:
            return answer
        wait = random.uniform(0, _BACKOFF * 2 ** (tried - 1))
        if answer is not None and (told := answer.headers.get("retry-after")) is not None:
            if told not in _SHORT:
                break
            wait = max(wait, int(told))
        if tried == tries or clock() - began + wait >= _PATIENCE:
            break
        pause(wait)
    raise Unavailable("the provider did not answer")


def _refuse_strangers(url: str, hosts: Collection[str] | None) -> None:
    try:
        asked = parse_url(url)  # what urllib3 itself goes by
    except HTTPError:
        raise Unavailable("the provider's address is none") from None
    if asked.host in _LOOPBACK and asked.scheme in ("http", "https"):
        return
    if asked.scheme != "https" or not asked.host:
        raise Unavailable("the provider's address is not https")
    port = asked.port or 443
    if hosts is not None and f"{asked.host}:{port}" not in hosts and not (port == 443 and asked.host in hosts):
        raise Unavailable("the provider's host is not one of its own")


def _ask(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer | None:
    """One try; None if nobody answered."""
    try:
        response = _pool().urlopen(
            method,
            url,
            redirect=False,
            body=body,
            headers={**headers, "User-Agent": "cardshop", "Accept-Encoding": "identity"},
            retries=False,
            timeout=_TIMEOUT,
            preload_content=False,
            decode_content=False,
            enforce_content_length=True,  # which urllib3 1.26 does not by itself
        )
        with response:
            data = bytearray()
            for chunk in response.stream(_CHUNK):
                data += chunk
                if len(data) > _MAX_ANSWER:
                    raise Unavailable("the provider's answer is too large")
    except (HTTPError, ValueError):  # ValueError: a header that cannot be sent; its text would quote it
        return None
    return Answer(response.status, {name.lower(): response.headers[name] for name in response.headers}, bytes(data))


class _Public(HTTPSConnection):
    """To a public address: a name may resolve to one inside, and to another each time."""

    def connect(self) -> None:
        super().connect()
        if not _peer(self).is_global:
            raise Unavailable("the provider's address is not public")


class _Local(HTTPConnection):
    """To this machine: whatever `localhost` resolves to."""

    def connect(self) -> None:
        super().connect()
        if not _peer(self).is_loopback:
            raise Unavailable("the provider's address is not this machine")


def _peer(connection: HTTPConnection) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(connection.sock.getpeername()[0])


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _Public


class _LocalPool(HTTPConnectionPool):
    ConnectionCls = _Local


@cache
def _pool() -> PoolManager:
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # below that it logs whole URLs
    pool = PoolManager(maxsize=4)
    pool.pool_classes_by_scheme = {"https": _PublicPool, "http": _LocalPool}
    return pool
