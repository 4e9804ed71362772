"""What can go wrong, as types: each has a stable `code` and the HTTP status it answers with.

A 4xx was refused whole: nothing was written. A 5xx may be sent again as it was: every write is idempotent.
"""

from __future__ import annotations

from typing import ClassVar


class ShopError(Exception):
    """Base of every declared error. `detail` is for the caller's eyes: never a card code, key or address."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "服务器内部错误 Internal error"

    def __init__(self, detail: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.retry_after = retry_after  # seconds


class InvalidRequest(ShopError):
    code, status, title = "invalid_request", 400, "请求无效 Invalid request"


class Unprocessable(ShopError):
    code, status, title = "unprocessable", 422, "请求内容无法处理 The request cannot be processed"


class InvalidIdempotencyKey(InvalidRequest):
    code, title = "invalid_idempotency_key", "幂等键无效 Invalid Idempotency-Key"


class IdempotencyKeyReused(Unprocessable):
    code, title = "idempotency_key_reused", "幂等键已用于另一请求 Idempotency-Key was used for another request"


class BodyTooLarge(ShopError):
    code, status, title = "body_too_large", 413, "请求体过大 Body too large"


class Unauthorized(ShopError):
    code, status, title = "unauthorized", 401, "未授权 Missing or invalid token"


class WrongCredentials(ShopError):
    """No such order, no password on it, or another: nobody is told which."""

    code, status, title = "wrong_credentials", 401, "订单号或密码错误 Wrong order number or password"


class TooManyAttempts(ShopError):
    code, status, title = "too_many_attempts", 429, "尝试过于频繁 Too many attempts"


class NotFound(ShopError):
    code, status, title = "not_found", 404, "未找到 Not found"


class UnknownProduct(Unprocessable):
    code, title = "unknown_product", "商品不存在 No such product on sale"


class UnknownChannel(Unprocessable):
    code, title = "unknown_channel", "支付渠道不存在 No such payment channel"


class ChannelCannotTake(Unprocessable):
    code, title = "channel_cannot_take", "支付渠道不支持 The payment channel cannot take this"


class TooManyCards(Unprocessable):
    code, title = "too_many_cards", "单笔订单卡数过多 Too many cards in one order"


class NothingToImport(Unprocessable):
    code, title = "nothing_to_import", "没有可导入的卡密 No card to import"


class StillImporting(ShopError):
    code, status, title = "still_importing", 409, "批次导入未完成 The batch's import has not ended"


class OutOfStock(ShopError):
    code, status, title = "out_of_stock", 409, "库存不足 Out of stock"


class NotRevealable(ShopError):
    code, status, title = "not_delivered", 409, "尚未发货 The cards are not delivered yet"


class NotPayable(ShopError):
    code, status, title = "not_payable", 409, "订单不可支付 The order cannot be paid any more"


class NotCancellable(ShopError):
    code, status, title = "not_cancellable", 409, "订单不可取消 The order cannot be cancelled any more"


class TooManyPayments(ShopError):
    code, status, title = "too_many_payments", 409, "支付次数过多 Too many payments for one order"


class NotRefundable(ShopError):
    code, status, title = "not_refundable", 409, "不可退款 There is no such money to send back"


class TooManyHolds(ShopError):
    code, status, title = "too_many_holds", 429, "未支付订单过多 Too many unpaid orders"


class TooManyConnections(ShopError):
    code, status, title = "too_many_connections", 429, "同时连接过多 Too many connections at a time"


class Busy(ShopError):
    """Contention outlasted the attempts. Nothing was written; send it again."""

    code, status, title = "busy", 503, "繁忙,请重试 Busy, try again"


class Unavailable(ShopError):
    """A dependency did not answer. Sending the same request again is safe."""

    code, status, title = "unavailable", 503, "依赖服务暂不可用 A dependency is unavailable, try again"


class PaymentSpent(Unavailable):
    """The provider has it already and cannot say how it is paid: only another payment can be."""


class Confirming(Unavailable):
    """Money is on its way and not in yet: the payment cannot be closed, and is not paid. It is worth waiting for."""

    code, title = "confirming", "付款确认中 The payment is being confirmed"


class InvalidNotice(ShopError):
    """A notice that is not the provider's: forged, altered or malformed. Nothing is queued for it."""

    code, status, title = "invalid_notice", 400, "通知无效 Invalid notice"


class StaleNotice(InvalidNotice):
    """Signed, but too long ago or in the future: an old notice played again, or clocks that disagree."""

    code, title = "stale_notice", "通知已过期 Stale notice"


class Changed(ShopError):
    """Somebody else changed the order first. Load it again and decide anew; never reaches a caller."""

    code, status, title = "changed", 503, "订单已被更改 The order changed meanwhile"
