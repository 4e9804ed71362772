"""`cardshop token`: the one command that prints a token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from click.testing import CliRunner, Result

from client.commands import cardshop

KEY = "an-operators-signing-key-of-some-length"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:operators"
STACK = f"""<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
<StackName>shop-prod</StackName><CreationTime>2026-11-24T00:00:00Z</CreationTime>
<StackStatus>CREATE_COMPLETE</StackStatus><Outputs><member><OutputKey>OperatorTokenKey</OutputKey>
<OutputValue>{ARN}</OutputValue></member></Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
NO_STACK = """<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>
<Message>Stack with id elsewhere does not exist</Message></Error></ErrorResponse>"""


class Aws(BaseHTTPRequestHandler):
    """One stack, `shop-prod`, and its secret, as AWS answers for them."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.headers.get("X-Amz-Target") == "secretsmanager.GetSecretValue":
            self._send(200, json.dumps({"SecretString": KEY} if json.loads(body)["SecretId"] == ARN else {}))
        elif parse_qs(body)["StackName"] == ["shop-prod"]:
            self._send(200, STACK)
        else:
            self._send(400, NO_STACK)

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Aws)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    yield
    server.shutdown()
    serving.join()
    server.server_close()


def minted(stack: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(cardshop, ["token", "--stack", stack])


def test_the_token_printed_is_an_operators_and_lasts_an_hour() -> None:
    done = minted("shop-prod")
    assert done.exit_code == 0, done.stderr
    (printed,) = done.stdout.splitlines()
    claims = jwt.decode(printed, KEY, algorithms=["HS256"], audience="operator")
    assert claims["exp"] - claims["iat"] == 3600


def test_a_stack_that_is_not_there_is_told_without_a_traceback() -> None:
    done = minted("elsewhere")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "No token:" in done.stderr
    assert "Stack with id elsewhere does not exist" in done.stderr
