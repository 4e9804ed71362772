"""A provider is asked again while that may help and is safe, never elsewhere, and never at an address inside."""

from __future__ import annotations

import ipaddress
import itertools
import logging
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
from cardshop.adapters.payments import outbound
from cardshop.adapters.payments.outbound import Answer, call
from cardshop.domain.errors import Unavailable
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.connection import HTTPConnection, HTTPSConnection

KEY = "sk-5f1d9c"
MAX = 256 * 1024

Script = tuple[int, dict[str, str], bytes] | bytes | None


class Host:
    """A provider that gives the answers it is told to, the last one for ever.

    `bytes` are sent as they are, `None` is no answer until the end, and no script at all is a hang-up.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.script: list[Script] = [(200, {}, b"ok")]
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.callers: set[tuple[str, int]] = set()
        self.over = threading.Event()
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                host.asked.append((self.command, self.path, headers, body))
                host.callers.add(self.client_address)
                answer = host.script[min(len(host.asked), len(host.script)) - 1]
                if answer is None:
                    host.over.wait()
                if not isinstance(answer, tuple):
                    self.close_connection = True
                    self.wfile.write(answer or b"")
                    return
                status, more, content = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who hangs up is the test's business
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1/pay?key={KEY}"


@contextmanager
def running(context: ssl.SSLContext | None = None) -> Iterator[Host]:
    host = Host(context)
    thread = threading.Thread(target=host.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        host.over.set()
        host.server.shutdown()
        thread.join()
        outbound._pool().clear()
        host.server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    with running() as host:
        yield host


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing is waited for; how long it would have been is kept. Chance is always at its longest."""
    kept: list[float] = []
    monkeypatch.setattr(outbound, "pause", kept.append)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    return kept


def refused(url: str, **how: object) -> Unavailable:
    """The error of a call that must not be answered; it tells nobody the key."""
    with pytest.raises(Unavailable) as unavailable:
        call("GET", url, **how)  # type: ignore[arg-type]
    assert KEY not in f"{unavailable.value!r} {unavailable.value.detail}"
    assert unavailable.value.__cause__ is None
    assert unavailable.value.__suppress_context__ or unavailable.value.__context__ is None
    return unavailable.value


# ---- asking ----


def test_what_is_asked_is_sent_as_it_is_and_nothing_of_the_environment_with_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    host.script = [(201, {"X-Serial": "7", "Set-Cookie": "a=1"}, b"\xff\0")]
    for _ in range(2):
        answer = call("POST", host.url, headers={"Authorization": KEY}, body=b"{}")
        assert (answer.status, answer.headers["x-serial"], answer.body) == (201, "7", b"\xff\0")
    assert len(host.asked) == 2
    for asked in host.asked:
        method, path, headers, body = asked
        assert (method, path, body) == ("POST", f"/v1/pay?key={KEY}", b"{}")
        assert headers == {
            "host": f"127.0.0.1:{host.port}",
            "authorization": KEY,
            "user-agent": "cardshop",
            "accept-encoding": "identity",
            "content-length": "2",
        }


def test_a_second_question_goes_over_the_same_connection(host: Host) -> None:
    call("GET", host.url)
    call("GET", host.url)
    assert len(host.asked) == 2
    assert len(host.callers) == 1


def test_a_host_has_two_seconds_to_be_reached_and_five_to_speak(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[float | None] = []
    monkeypatch.setattr(socket.socket, "settimeout", lambda _, seconds: allowed.append(seconds))
    call("GET", host.url)
    assert allowed == [2, 5]


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 404, 409, 422])
def test_any_answer_about_the_question_is_an_answer(host: Host, status: int, pauses: list[float]) -> None:
    """A redirect too: it is not followed."""
    host.script = [(status, {"Location": f"http://127.0.0.1:{host.port}/elsewhere"}, b"")]
    assert call("GET", host.url).status == status
    assert len(host.asked) == 1
    assert pauses == []


def test_a_compressed_answer_is_not_unpacked(host: Host) -> None:
    """Nobody asked for one, and a small one may hold a large one."""
    host.script = [(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")]
    assert call("GET", host.url).body == b"\x1f\x8b"


def test_an_answer_is_read_as_strictly_as_a_notice() -> None:
    assert Answer(200, {}, b'{"id": "%s"}' % (b"x" * 100_000)).json()["id"] == "x" * 100_000
    for body in (b"", b"[]", b"<html>", b'{"a": 1, "a": 2}', b'{"a": "\xff"}'):
        with pytest.raises(Unavailable, match="no JSON object"):
            Answer(200, {}, body).json()


def test_an_answer_that_is_shown_shows_no_content() -> None:
    assert KEY not in repr(Answer(200, {"x-token": KEY}, KEY.encode()))


# ---- asking again ----

OK: Script = (200, {}, b"ok")
BUSY: dict[str, Script] = {
    "too many": (429, {}, b""),
    "an error": (500, {}, b"oops"),
    "maintenance": (503, {}, b""),
    "a hang-up": b"",
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "another protocol": b"220 smtp ready\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
    "silence": None,
}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "_TIMEOUT", urllib3.Timeout(connect=2, read=0.1))


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("busy", list(BUSY))
def test_what_went_wrong_twice_is_asked_a_third_time(host: Host, busy: str, pauses: list[float]) -> None:
    host.script = [BUSY[busy], BUSY[busy], OK]
    assert call("GET", host.url).body == b"ok"
    assert len(host.asked) == 3
    assert pauses == [0.1, 0.2]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("busy", list(BUSY))
def test_three_times_is_enough(host: Host, busy: str) -> None:
    host.script = [BUSY[busy]]
    assert refused(host.url).detail == "the provider did not answer"
    assert len(host.asked) == 3


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("busy", list(BUSY))
def test_what_must_not_be_repeated_is_asked_once(host: Host, busy: str, pauses: list[float]) -> None:
    host.script = [BUSY[busy], OK]
    refused(host.url, repeatable=False)
    assert len(host.asked) == 1
    assert pauses == []


def test_a_pause_is_random_between_nothing_and_its_longest(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    kept: list[float] = []
    monkeypatch.setattr(outbound, "pause", kept.append)
    host.script = [(503, {}, b"")]
    refused(host.url)
    assert kept == [0, 0]


def test_a_host_that_is_not_there_is_unavailable(pauses: list[float]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers here
        refused(f"http://127.0.0.1:{unused.getsockname()[1]}/?key={KEY}")
    assert len(pauses) == 2


@pytest.mark.parametrize(("told", "waited"), [("0", 0.1), ("1", 1), ("2", 2)])
def test_a_short_pause_the_provider_asks_for_is_made(host: Host, told: str, waited: float, pauses: list[float]) -> None:
    host.script = [(429, {"Retry-After": told}, b""), OK]
    assert call("GET", host.url).body == b"ok"
    assert pauses == [waited]


@pytest.mark.parametrize("told", ["3", "120", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 5000, "-1", ""])
def test_a_longer_pause_is_not_waited_for(host: Host, told: str, pauses: list[float]) -> None:
    host.script = [(503, {"Retry-After": told}, b""), OK]
    refused(host.url)
    assert len(host.asked) == 1
    assert pauses == []


@pytest.mark.parametrize(("seconds", "tries"), [(5.8, 3), (5.9, 2), (7, 2), (11.8, 2), (11.9, 1), (60, 1)])
def test_nobody_is_asked_again_when_twelve_seconds_have_passed(
    host: Host, monkeypatch: pytest.MonkeyPatch, seconds: float, tries: int
) -> None:
    """Each try takes so long."""
    monkeypatch.setattr(outbound, "clock", itertools.count(0, seconds).__next__)
    host.script = [(503, {}, b"")]
    refused(host.url)
    assert len(host.asked) == tries


# ---- how much ----


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_may_be_large_and_not_larger(host: Host, chunked: bool) -> None:
    def said(size: int) -> Script:
        if not chunked:
            return 200, {}, b"x" * size
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)

    host.script = [said(MAX), said(MAX + 1)]
    assert len(call("GET", host.url).body) == MAX
    assert "too large" in refused(host.url).detail
    assert len(host.asked) == 2


def test_an_answer_without_end_is_not_read_to_its_end(host: Host) -> None:
    """What comes after too much is not waited for."""
    host.script = [(200, {"Content-Length": str(2**40)}, b"x" * (MAX + 64 * 1024)), OK]
    assert "too large" in refused(host.url).detail
    assert call("GET", host.url).body == b"ok"  # over another connection: the rest of that answer is none


# ---- who ----


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up, nobody is connected to."""

    def fail(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "url",
    [
        *["http://pay.example/", "http://127.0.0.1.nip.example/", "http://127.0.0.2/", "http://localhost./"],
        *["http://127.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "http://localhost@pay.example/"],
        *["ftp://127.0.0.1/", "file:///etc/passwd", "//127.0.0.1/", "127.0.0.1", "https:///path", "", "https://["],
        "https://pay.example:99999/",
    ],
)
def test_only_https_and_this_machine_are_asked(url: str) -> None:
    assert "address" in refused(f"{url}?key={KEY}").detail


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "url",
    [
        *["https://evil.example/", "https://api.pay.example.evil.example/", "https://api.pay.example./"],
        *["https://api.pay.example:8443/", "https://test.pay.example/", "https://test.pay.example:444/"],
        *["https://api.pay.example@evil.example/", "https://evil.example#@api.pay.example/"],
        "https://evil.example\\@api.pay.example/",
    ],
)
def test_a_host_that_is_not_listed_is_not_connected_to(url: str) -> None:
    refused(url, hosts={"api.pay.example", "test.pay.example:8443"})
    refused(url, hosts=())


@pytest.mark.parametrize(
    "url", ["https://api.pay.example/", "https://API.pay.example:443/", "https://test.pay.example:8443/"]
)
def test_a_host_that_is_listed_is_connected_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    looked_up: list[str] = []

    def lookup(host: str, *_: object) -> None:
        looked_up.append(host)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    refused(url, hosts={"api.pay.example", "test.pay.example:8443"})
    assert set(looked_up) == {urlsplit(url).hostname}


def test_this_machine_need_not_be_listed(host: Host) -> None:
    assert call("GET", host.url, hosts=()).body == b"ok"


def test_a_header_that_cannot_be_sent_is_not_quoted(host: Host) -> None:
    for bad in (f"{KEY}\r\nX: y", f"{KEY}元"):
        refused(host.url, headers={"Authorization": bad})
    assert host.asked == []


def test_a_malformed_answer_puts_no_url_into_the_log(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    host.script = [b"HTTP/1.1 200 OK\r\nno header\r\n\r\nok", (302, {"Location": f"/?key={KEY}"}, b"")]
    call("GET", host.url)
    call("GET", host.url)
    assert len(host.asked) == 2
    assert KEY not in caplog.text


# ---- addresses inside ----


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host on this machine with a certificate that is trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pay.example")])
    also = [x509.DNSName("pay.example"), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(also), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind = serialization.Encoding.PEM
    (tmp_path / "certificate").write_bytes(certificate.public_bytes(kind))
    none = serialization.NoEncryption()
    (tmp_path / "key").write_bytes(key.private_bytes(kind, serialization.PrivateFormat.PKCS8, none))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    with running(context) as host:
        yield host


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "pay.example"])
def test_an_address_inside_is_asked_nothing(secure: Host, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever the name resolves to, and though its certificate is in order."""
    there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", secure.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: there)
    url = f"https://{name}:{secure.port}/"
    assert "not public" in refused(url, hosts={f"pay.example:{secure.port}"}).detail
    assert secure.asked == []
    with urllib3.PoolManager() as trusting:
        assert trusting.request("GET", url).data == b"ok"  # it was the address, and nothing else


def test_a_certificate_that_is_not_trusted_is_no_answer(secure: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert refused(f"https://127.0.0.1:{secure.port}/").detail == "the provider did not answer"
    assert secure.asked == []


class Connected(socket.socket):
    """A connection to an address that nobody here could connect to."""

    peer = ""

    def getpeername(self) -> tuple[str, int]:
        return self.peer, 443


@contextmanager
def connecting(kind: type[HTTPConnection], peer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Whoever connects is connected to this peer; answers the other end of the connection."""
    near, far = socket.socketpair()
    connected = Connected(fileno=near.detach())
    connected.peer = peer
    monkeypatch.setattr(kind, "connect", lambda self: setattr(self, "sock", connected))
    with connected, far:
        yield far


@pytest.mark.parametrize(
    "peer",
    [
        *["10.0.0.5", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.0.0.53", "0.0.0.0"],
        *["::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:10.0.0.5", "::ffff:169.254.169.254", "::"],
    ],
)
def test_https_goes_to_public_addresses_only(monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    with connecting(HTTPSConnection, peer, monkeypatch) as far:
        assert "not public" in refused(f"https://pay.example/?key={KEY}").detail
        assert far.recv(1) == b""


@pytest.mark.parametrize("peer", ["8.8.8.8", "10.0.0.5", "169.254.169.254", "fe80::1%eth0"])
def test_http_goes_to_this_machine_only(monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    with connecting(HTTPConnection, peer, monkeypatch) as far:
        assert "not this machine" in refused(f"http://localhost/?key={KEY}").detail
        assert far.recv(1) == b""


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("peer", ["8.8.8.8", "2606:4700:4700::1111"])
def test_a_public_address_is_asked(monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    with connecting(HTTPSConnection, peer, monkeypatch) as far:
        far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        assert call("GET", "https://pay.example/").body == b"ok"
        assert far.recv(1024).startswith(b"GET / HTTP/1.1\r\nHost: pay.example\r\n")


# ---- importing ----


def test_importing_takes_neither_the_environment_nor_a_heavy_package() -> None:
    heavy = {"boto3", "botocore", "cryptography", "pydantic"}
    code = (
        "import sys; from cardshop.adapters.payments import outbound, wire; "
        f"print(sorted({heavy!r} & sys.modules.keys()), outbound._pool.cache_info().currsize)"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] 0\n"
