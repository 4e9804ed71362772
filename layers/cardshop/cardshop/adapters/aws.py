"""One botocore session a process, its clients with short time-outs, and what their failures mean to the shop.

botocore rather than boto3, which only adds to a cold start what nothing here uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cardshop.domain.errors import Unavailable


@cache
def config() -> Config:
    return Config(connect_timeout=3, read_timeout=9, retries={"mode": "standard", "total_max_attempts": 3})


@cache
def session() -> Any:
    return botocore.session.get_session()


@cache
def client(service: str) -> Any:
    return session().create_client(service, config=config())


@contextmanager
def reached(service: str) -> Iterator[None]:
    """A failure nobody expected is one error, safe to retry. Its text stays in the log: it may name resources."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unavailable(f"{service} did not answer") from error


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
