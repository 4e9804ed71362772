"""The provider's HTTP side: what each path answers, and the server that asks it."""

import json
import logging
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from simulators.epay import protocol
from simulators.epay.notices import Notifier, result
from simulators.epay.pages import error_page, pay_page
from simulators.epay.protocol import FROZEN, PAID, REFUNDED, UNPAID
from simulators.epay.store import Order, Payment, Store

_BODY_BYTES = 65536
_logger = logging.getLogger("epay")


class Request(NamedTuple):
    """One HTTP request, taken apart."""

    method: str
    path: str
    query: dict[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        return _params(self.body) if self.method == "POST" else {}


class Response(NamedTuple):
    """What to answer."""

    status: int
    body: str
    content_type: str = "text/html"
    location: str = ""


class Refusal(Exception):
    """Why the provider turns a request down."""

    def __init__(self, text: str, text_en: str, status: int = 400) -> None:
        super().__init__(text_en)
        self.text, self.text_en, self.status = text, text_en, status


class Provider:
    """The payment provider itself; every method may run in many threads at once."""

    def __init__(self, store: Store, notifier: Notifier, merchants: Mapping[str, str]) -> None:
        self._store = store
        self._notifier = notifier
        self._merchants = merchants
        self._lock = threading.Lock()
        self._outage = {"query": False, "submit": False}
        self._queries = 0

    def answer(self, request: Request) -> Response:
        try:
            match request.path:
                case "/submit.php":
                    return self._submit(request)
                case "/pay.php":
                    return self._pay(request)
                case "/api.php":
                    return self._api(request)
                case path if path.startswith("/_control/"):
                    return self._control(request)
            raise Refusal("页面不存在", "There is no such page", 404)
        except Refusal as refusal:
            _logger.info("refused %s %.40r: %s", request.method, request.path, refusal)
            if request.path.startswith("/_control/"):
                return _json({"error": refusal.text_en}, refusal.status)
            return Response(refusal.status, error_page(refusal.text, refusal.text_en))

    # The buyer's pages

    def _submit(self, request: Request) -> Response:
        if self._outage["submit"]:
            raise Refusal("系统维护中，请稍后再试", "Down for maintenance, please try again later", 503)
        order = self._checked(request.query if "pid" in request.query else request.form)
        payment, created = self._store.open(order)
        if payment.money != order.money:
            raise Refusal("订单金额与已有订单不一致", "This order exists with another amount")
        if created:
            money = protocol.format_money(payment.money)
            _logger.info("payment created order=%s pid=%s money=%s", payment.out_trade_no, payment.pid, money)
        return Response(200, pay_page(payment, self._way_back(payment)))

    def _checked(self, params: dict[str, str]) -> Order:
        """The order a merchant's signed parameters ask for."""
        key = self._merchants.get(params.get("pid", ""))
        if key is None:
            raise Refusal("商户不存在", "Unknown merchant")
        if params.get("sign_type", "MD5").upper() != "MD5" or not protocol.verify(params, key):
            raise Refusal("签名校验失败", "The signature is wrong")
        money = protocol.parse_money(params.get("money", ""))
        order = Order(
            pid=params["pid"],
            out_trade_no=params.get("out_trade_no", ""),
            type=params.get("type", ""),
            name=protocol.clip_name(params.get("name", "")),
            money=money or 0,
            notify_url=params.get("notify_url", ""),
            return_url=params.get("return_url", ""),
            param=params.get("param", ""),
        )
        if money is None:
            raise Refusal("金额不合法", "The amount is not valid")
        if order.type not in protocol.TYPES:
            raise Refusal("支付方式不存在", "Unknown payment type")
        if not protocol.is_order_number(order.out_trade_no):
            raise Refusal("订单号不合法", "The order number is not valid")
        if not order.name.strip():
            raise Refusal("商品名称不能为空", "The product name is missing")
        if not (protocol.is_web_address(order.notify_url) and protocol.is_web_address(order.return_url)):
            raise Refusal("通知地址或返回地址不合法", "The notify or return address is not valid")
        return order

    def _pay(self, request: Request) -> Response:
        if request.method != "POST":
            raise Refusal("请从付款页面付款", "Please pay from the pay page", 405)
        form = request.form
        payment = self._store.find(trade_no=form.get("trade_no", ""))
        if payment is None or payment.pid not in self._merchants:
            raise Refusal("订单不存在", "Unknown payment", 404)
        if not protocol.same(form.get("token", ""), payment.token):
            raise Refusal("页面已失效", "This page is not valid", 403)
        notify = "notify" in form
        paid, chain = self._store.pay(payment.trade_no, notify)
        if chain:
            self._notifier.schedule(chain)
        if paid:
            _logger.info("paid order=%s notice=%s", payment.out_trade_no, "yes" if notify else "no")
        payment = self._store.find(trade_no=payment.trade_no) or payment
        if payment.status != PAID:
            raise Refusal("订单已关闭", "This payment is closed")
        return Response(302, "", location=self._way_back(payment))

    def _way_back(self, payment: Payment) -> str:
        return protocol.add_query(payment.return_url, result(payment, self._merchants[payment.pid]))

    # The merchant's interface

    def _api(self, request: Request) -> Response:
        act = request.query.get("act") or request.form.get("act")
        if act == "order":
            with self._lock:
                self._queries += 1
        if self._outage["query"]:
            raise Refusal("系统维护中，请稍后再试", "Down for maintenance, please try again later", 503)
        if act not in ("order", "refund"):
            return _json({"code": -5, "msg": "No Act!"})
        # A refund moves money, so its parameters count only in a posted form.
        params = request.form if act == "refund" else {**request.query, **request.form}
        pid = params.get("pid", "")
        if pid not in self._merchants or not protocol.same(params.get("key", ""), self._merchants[pid]):
            _logger.info("%s refused: unknown merchant or wrong key", act)
            return _json({"code": -3, "msg": "商户ID或密钥错误"})
        payment = self._store.find(
            pid=pid, trade_no=params.get("trade_no", ""), out_trade_no=params.get("out_trade_no", "")
        )
        if payment is None:
            _logger.info("%s refused: unknown order", act)
            return _json({"code": -1, "msg": "订单号不存在"})
        answer = _view(payment) if act == "order" else self._refund(payment, params.get("money", ""))
        _logger.info("%s order=%s status=%d code=%d", act, payment.out_trade_no, payment.status, answer["code"])
        return _json(answer)

    def _refund(self, payment: Payment, money: str) -> dict[str, Any]:
        if protocol.parse_money(money) != payment.money:
            return {"code": -1, "msg": "退款金额与订单金额不一致"}
        if not self._store.refund(payment.trade_no):
            return {"code": -1, "msg": "该订单未支付或已退款"}
        return {"code": 0, "msg": "退款成功！"}

    # The test controls (see the package's docstring)

    def _control(self, request: Request) -> Response:
        _, _, name, *rest = request.path.split("/")
        number = unquote("/".join(rest))
        match request.method, name, bool(number):
            case "GET", "queries", False:
                return _json({"count": self._queries})
            case "POST", "outage", False:
                return self._set_outage(_object(request.body))
            case "POST", "payments", True:
                return self._amend(self._by_number(number), _object(request.body))
            case "GET", "notices", True:
                attempts = self._store.attempts(self._by_number(number).trade_no)
                return _json([attempt._asdict() for attempt in attempts])
            case "POST", "notices", True:
                self._notifier.schedule(self._store.queue_notice(self._by_number(number).trade_no))
                _logger.info("control: notice again order=%s", number)
                return _json({"ok": True})
        raise Refusal("页面不存在", "There is no such control", 404)

    def _by_number(self, out_trade_no: str) -> Payment:
        payment = self._store.find(out_trade_no=out_trade_no)
        if payment is None:
            raise Refusal("订单不存在", "Unknown payment", 404)
        return payment

    def _set_outage(self, wanted: dict[str, Any]) -> Response:
        if not all(name in self._outage and isinstance(on, bool) for name, on in wanted.items()):
            raise Refusal("参数错误", "An outage is query and submit, true or false")
        with self._lock:
            self._outage.update(wanted)
        _logger.info("control: outage query=%(query)s submit=%(submit)s", self._outage)
        return _json(self._outage)

    def _amend(self, payment: Payment, wanted: dict[str, Any]) -> Response:
        status = wanted.get("status", payment.status)
        money = protocol.parse_money(str(wanted["money"])) if "money" in wanted else payment.money
        if type(status) is not int or status not in (UNPAID, PAID, REFUNDED, FROZEN) or money is None:
            raise Refusal("参数错误", "A status is 0 to 3, money a price")
        self._store.amend(payment.trade_no, status, money)
        amended = self._by_number(payment.out_trade_no)
        _logger.info("control: order=%s status=%d money=%s", payment.out_trade_no, status, protocol.format_money(money))
        return _json(_view(amended))


def _view(payment: Payment) -> dict[str, Any]:
    return {
        "code": 1,
        "msg": "查询订单号成功！",
        "trade_no": payment.trade_no,
        "out_trade_no": payment.out_trade_no,
        "api_trade_no": payment.api_trade_no,
        "type": payment.type,
        "pid": int(payment.pid),
        "addtime": protocol.beijing(payment.addtime),
        "endtime": protocol.beijing(payment.endtime) if payment.endtime else None,
        "name": payment.name,
        "money": protocol.format_money(payment.money),
        "status": payment.status,
        "param": payment.param,
        "buyer": None,
    }


def _json(value: object, status: int = 200) -> Response:
    return Response(status, json.dumps(value), "application/json")


def _object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal("参数错误", "The body must be a JSON object")
    return value


def _params(text: str) -> dict[str, str]:
    """A query or form; of a name given twice the last counts, as in PHP."""
    return dict(parse_qsl(text, keep_blank_values=True))


class _Handler(BaseHTTPRequestHandler):
    """Turns HTTP into requests for the provider and back."""

    server: "EpayServer"
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > _BODY_BYTES:
            self.close_connection = True
            self._send(Response(413, error_page("请求过大", "The request is too large")))
            return
        body = self.rfile.read(int(length)).decode(errors="replace")
        try:
            url = urlsplit(self.path)
            request = Request(self.command, url.path, _params(url.query), body)
            response = self.server.provider.answer(request)
        except Exception:
            _logger.exception("request failed")
            response = Response(500, error_page("系统错误", "Something went wrong here"))
        self._send(response)

    do_POST = do_GET

    def _send(self, response: Response) -> None:
        body = response.body.encode()
        self.send_response(response.status)
        self.send_header("Content-Type", f"{response.content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        # The address may hold a signature and the shop must not learn it from the browser.
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        if response.location:
            self.send_header("Location", response.location)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "nginx"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: request lines hold keys and signatures. Events are logged where they happen."""


class EpayServer(ThreadingHTTPServer):
    """The provider on a local port, with its state in a directory."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, state: Path, merchants: Mapping[str, str], time_scale: float = 60) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        state.mkdir(parents=True, exist_ok=True)
        self._store = Store(state / "epay.sqlite3")
        self._notifier = Notifier(self._store, merchants, time_scale)
        self.provider = Provider(self._store, self._notifier, merchants)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._notifier.start()

    def server_close(self) -> None:
        super().server_close()
        self._notifier.stop()
        self._store.close()

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):  # a client may go away when it likes
            _logger.error("connection failed: %s", type(error).__name__)
