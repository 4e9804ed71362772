"""Alipay's official SDK, to be asked what it makes of it (see `alipay.mjs`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Oracle = Callable[..., Any]  # (question, **what about)


@contextmanager
def official(account: Mapping[str, Any], gateway: str = "http://127.0.0.1:9/gateway.do") -> Iterator[Oracle]:
    """As the application of a simulated account; `gateway` is called only by the question `call`."""
    config = {
        "appId": account["app_id"],
        "privateKey": account["private_key"],
        "keyType": "PKCS8",
        "alipayPublicKey": account["alipay_public_key"],
        "gateway": gateway,
    }
    command = ["node", str(Path(__file__).with_suffix(".mjs"))]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        questions, answers = node.stdin, node.stdout

        def ask(question: str, **about: Any) -> Any:
            print(json.dumps({"ask": question, "config": config, **about}), file=questions, flush=True)
            return json.loads(answers.readline())

        yield ask
        questions.close()
