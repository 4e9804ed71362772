"""The epay v1 wire format: signatures, money, times and URLs."""

import hashlib
import hmac
import re
import string
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import quote, urlencode, urlsplit

TYPES = {
    "alipay": ("支付宝", "Alipay"),
    "wxpay": ("微信支付", "WeChat Pay"),
    "qqpay": ("QQ钱包", "QQ Wallet"),
}
UNPAID, PAID, REFUNDED, FROZEN = range(4)
NAME_BYTES = 127

_BEIJING = timezone(timedelta(hours=8))
_MONEY = re.compile(r"([0-9]{1,8})(?:\.([0-9]{1,2}))?")
_ORDER_NUMBER = re.compile(r"[A-Za-z0-9._|-]{1,64}")


def sign(params: Mapping[str, str], key: str) -> str:
    """The MD5 signature over every non-empty parameter but the signature's own two."""
    signed = sorted((k, v) for k, v in params.items() if v and k not in ("sign", "sign_type"))
    text = "&".join(f"{k}={v}" for k, v in signed) + key
    return hashlib.md5(text.encode()).hexdigest()


def verify(params: Mapping[str, str], key: str) -> bool:
    """Whether the parameters carry the right signature."""
    return same(params.get("sign", "").lower(), sign(params, key))


def same(given: str, secret: str) -> bool:
    """Compare a secret without telling by the time taken how much of it was right."""
    return hmac.compare_digest(given.encode(), secret.encode())


def parse_money(text: str) -> int | None:
    """Yuan with at most two decimals as whole fen, or None if it is no price above zero."""
    match = _MONEY.fullmatch(text)
    if not match:
        return None
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) or None


def format_money(fen: int) -> str:
    """Fen as yuan with two decimals, as queries answer it."""
    return f"{fen // 100}.{fen % 100:02d}"


def php_float(fen: int) -> str:
    """Fen as yuan the way PHP prints a float, as notices send it: 9.90 is ``9.9``, 1.00 is ``1``."""
    return format_money(fen).rstrip("0").rstrip(".")


def beijing(at: float, style: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A Unix time as the provider's wall clock shows it."""
    return datetime.fromtimestamp(at, _BEIJING).strftime(style)


def clip_name(name: str) -> str:
    """The product name as the provider keeps it: longer ones are cut, never inside a character."""
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


def is_order_number(text: str) -> bool:
    """Whether a merchant may use this as an order number."""
    return _ORDER_NUMBER.fullmatch(text) is not None


def is_web_address(url: str) -> bool:
    """Whether this is an absolute http(s) URL that may be called or redirected to."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def add_query(url: str, params: Mapping[str, str]) -> str:
    """Append parameters to a URL that may already have some; the result is plain ASCII."""
    # Quoting what is left over keeps line breaks out of the Location header and the request line.
    joined = url + ("&" if "?" in url else "?") + urlencode(params)
    return quote(joined, safe=string.punctuation)
