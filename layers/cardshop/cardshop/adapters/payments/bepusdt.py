"""BEpusdt, the self-hosted gateway for many coins and chains (`v03413/BEpusdt`): Epusdt's protocol, and more.

Where it differs (from the project's `docs/api/api.md`, and its source where that says more):

- a number is signed as Go's `%v` prints a float: from a million on, and below a ten-thousandth, with an exponent;
- `trade_type` is the coin and chain (`docs/trade-type.md`), `fiat` the currency of `amount`, `timeout` the order's time
  in seconds: 180 to 3600, anything else counts as the gateway's own setting;
- an order number that waits or is paid answers its own order again; one that is over gets a new order;
- `POST /api/v1/order/cancel-transaction` stops the gateway watching for it, while nothing has come in;
- `POST /api/v1/pay/info` answers the status with the order's number and its amount of money, unsigned. Versions before
  it have `GET /pay/check-status/{trade_id}` instead;
- statuses: 1 waiting (told every minute), 2 paid, 3 over, 4 cancelled, 5 seen on the chain, 6 not confirmed there. What
  was sent in time may be seen after 3 was told: then 2 follows;
- HTTP 200 is what it takes for "got it"; older versions want the body `ok` as well. (The document says `success`,
  which those do not take.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from cardshop.adapters.clock import clock
from cardshop.adapters.payments import outbound, wire
from cardshop.adapters.payments.epusdt import JSON, Epusdt
from cardshop.domain.errors import Confirming, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.payment import Channel, EventKind, Payment, PaymentEvent, PaymentRequest, PaymentSession

_TRADE_TYPES = (
    *("usdt.trc20", "usdt.erc20", "usdt.bep20", "usdt.polygon", "usdt.arbitrum", "usdt.solana", "usdt.aptos"),
    *("usdt.xlayer", "usdt.plasma", "usdt.ton", "usdt0.xlayer"),
    *("usdc.trc20", "usdc.erc20", "usdc.bep20", "usdc.polygon", "usdc.arbitrum", "usdc.solana", "usdc.aptos"),
    *("usdc.xlayer", "usdc.base", "tron.trx", "ethereum.eth", "bsc.bnb", "ton.gram"),
)
_NAME_CHARACTERS = 64


class Bepusdt(Epusdt):
    name = "bepusdt"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "currency": ("CNY", "USD", "EUR", "GBP", "JPY"),
        "trade_type": _TRADE_TYPES,
    }
    states: ClassVar[Mapping[str, EventKind]] = {
        **Epusdt.states,
        "4": EventKind.FAILED,
        "5": EventKind.OPEN,
        "6": EventKind.FAILED,
    }
    least = 1
    closes = True

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        """Asked again, the gateway itself answers the order's page, or opens it anew if its time was over."""
        seconds = (request.expires_at - clock()) // 1000
        return self._create(
            channel,
            request,
            {
                "trade_type": channel.settings["trade_type"],
                "fiat": channel.settings["currency"],
                "name": wire.plain_name(request.name)[:_NAME_CHARACTERS].strip() or request.payment_id,
                "timeout": min(max(seconds, 180), 3600),
            },
        )

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        number = payment.session_ref
        if number is None:
            return super().query_payment(channel, payment)
        url = f"{channel.settings['url']}/api/v1/pay/info"
        body = json.dumps({"trade_id": number}).encode()
        answer = outbound.call("POST", url, headers=JSON, body=body)
        if answer.status == 404:
            return super().query_payment(channel, payment)
        order = self._content(answer.json())
        kind = self._state(order, number)
        try:
            named = wire.text(order, "order_id")
            amount = Money.parse(wire.decimal_text(order.get("money")), wire.text(order, "fiat"))
        except ValueError:
            raise Unavailable(f"{self.name}: no order in its answer") from None
        if named != payment.payment_id:
            raise Unavailable(f"{self.name} answered for another payment")
        return PaymentEvent(payment.payment_id, kind, amount if kind is EventKind.PAID else None, number)

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """Confirming while a payment is on its way: the gateway cancels none that it has seen on the chain."""
        if payment.session_ref is None:
            return super().query_payment(channel, payment)
        self._ask(channel, "cancel-transaction", {"trade_id": payment.session_ref})
        said = self.query_payment(channel, payment)  # which tells what the answer to that does not
        if said.kind is EventKind.OPEN:
            raise Confirming(f"{self.name} has not cancelled it")
        return said

    def _number(self, plain: str) -> str:
        plain = super()._number(plain)
        power = Decimal(plain).adjusted()
        if plain == "0" or -4 <= power < 6:
            return plain
        first, *rest = (str(digit) for digit in Decimal(plain).normalize().as_tuple().digits)
        return f"{first}{'.' if rest else ''}{''.join(rest)}e{power:+03d}"

    def _content(self, answer: dict[str, Any]) -> dict[str, Any]:
        """`check-status` has no envelope here."""
        return answer if "status" in answer else super()._content(answer)
