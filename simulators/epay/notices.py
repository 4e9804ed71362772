"""Sending the provider's asynchronous notices, with its retries, from a pool of threads."""

import heapq
import logging
import threading
import time
from collections.abc import Mapping
from http.client import HTTPException
from urllib.request import HTTPErrorProcessor, ProxyHandler, Request, build_opener

from simulators.epay.protocol import add_query, php_float, sign
from simulators.epay.store import Attempt, Chain, Payment, Store

TIMEOUT = 5.0
# Minutes to wait after each failed attempt: retries 1m, 3m, 19m, 55m and 1h55m after the first.
RETRY_MINUTES = (1, 2, 16, 36, 60)

_BODY_BYTES = 65536
_ANSWER_CHARS = 200
_logger = logging.getLogger("epay")


class _AnyStatus(HTTPErrorProcessor):
    """Take every answer as it is: the provider looks at the body only and follows no redirect."""

    def http_response(self, request, response):  # type: ignore[no-untyped-def]
        return response

    https_response = http_response


# Without proxies: the shop is called directly whatever this program's environment says.
_opener = build_opener(ProxyHandler({}), _AnyStatus)


def result(payment: Payment, key: str) -> dict[str, str]:
    """The signed parameters of a successful payment, for the notice and for the buyer's way back."""
    params = {
        "pid": payment.pid,
        "trade_no": payment.trade_no,
        "out_trade_no": payment.out_trade_no,
        "type": payment.type,
        "name": payment.name,
        "money": php_float(payment.money),
        "trade_status": "TRADE_SUCCESS",
    }
    if payment.param:
        params["param"] = payment.param
    return {**params, "sign": sign(params, key), "sign_type": "MD5"}


class Notifier:
    """Worker threads that sleep until the next notice of a heap is due."""

    def __init__(self, store: Store, merchants: Mapping[str, str], time_scale: float, workers: int = 16) -> None:
        self._store = store
        self._merchants = merchants
        self._time_scale = time_scale
        self._changed = threading.Condition()
        self._stopping = False
        self._heap = store.pending()
        heapq.heapify(self._heap)
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def start(self) -> None:
        if self._heap:
            _logger.info("notices resumed: %d", len(self._heap))
        for worker in self._workers:
            worker.start()

    def schedule(self, chain: Chain) -> None:
        with self._changed:
            heapq.heappush(self._heap, chain)
            self._changed.notify()

    def stop(self) -> None:
        """Start no more attempts and let those under way end, so that none is sent twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + TIMEOUT + 1
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while chain := self._next():
            try:
                self._attempt(chain)
            except Exception:  # a worker lost to a fault would silently slow down all later notices
                _logger.exception("notice failed")

    def _next(self) -> Chain | None:
        with self._changed:
            while not self._stopping:
                wait = self._heap[0].due - time.time() if self._heap else None
                if wait is not None and wait <= 0:
                    chain = heapq.heappop(self._heap)
                    # Whoever is idle must now watch the next one: this thread is busy for a while.
                    self._changed.notify()
                    return chain
                self._changed.wait(wait)
        return None

    def _attempt(self, chain: Chain) -> None:
        payment = self._store.find(trade_no=chain.trade_no)
        key = self._merchants.get(payment.pid) if payment else None
        if payment is None or key is None:
            # Left in the store: the merchant may be back on the next start.
            _logger.info("notice held back, its merchant is not served now")
            return
        at = time.time()
        answer, delivered = _send(add_query(payment.notify_url, result(payment, key)))
        retry = None
        if not delivered and chain.tries < len(RETRY_MINUTES):
            retry = time.time() + RETRY_MINUTES[chain.tries] * 60 / self._time_scale
        again = self._store.record(chain, Attempt(at, answer, delivered), retry)
        outcome = "delivered" if delivered else "failed, will retry" if again else "failed, given up"
        _logger.info("notice %s order=%s try=%d", outcome, payment.out_trade_no, chain.tries + 1)
        if again:
            self.schedule(again)


def _send(url: str) -> tuple[str, bool]:
    """Call the shop; the start of its answer (or what went wrong) and whether it took the notice."""
    try:
        body = _get(url).decode(errors="replace")
    except (OSError, HTTPException, ValueError) as error:
        # Not the error's text when it may quote the URL, which holds the signature.
        reason = getattr(error, "reason", error) if isinstance(error, OSError) else ""
        return f"{type(error).__name__}: {reason}"[:_ANSWER_CHARS], False
    return body[:_ANSWER_CHARS], "success" in body


def _get(url: str) -> bytes:
    deadline = time.monotonic() + TIMEOUT
    body = b""
    request = Request(url, headers={"User-Agent": "Mozilla/5.0 (compatible; epay)"})
    with _opener.open(request, timeout=TIMEOUT) as response:
        while len(body) < _BODY_BYTES and (part := response.read1(4096)):
            body += part
            # The socket's timeout starts anew with every byte; the provider's does not.
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
    return body
