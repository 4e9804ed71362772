"""Money: an integer of minor units (fen, cents) and an ISO 4217 currency. Never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Digits after the point, where they are not two (ISO 4217).
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX"), 0),
    **dict.fromkeys(("UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,8}))?")


def exponent(currency: str) -> int:
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    minor: int
    currency: str

    def decimal(self) -> str:
        """`990 CNY` → `9.90`, `100 JPY` → `100`: what providers that speak decimals are sent."""
        digits = exponent(self.currency)
        whole, part = divmod(self.minor, 10**digits)
        return f"{whole}.{part:0{digits}d}" if digits else str(whole)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """`1`, `1.0` and `1.00` are the same amount. ValueError for anything but a plain, exact decimal."""
        match = _DECIMAL.fullmatch(text)
        if match is None or not text.isascii():
            raise ValueError("not a decimal amount")
        whole, part = match.group(1), (match.group(2) or "")
        digits = exponent(currency)
        if part[digits:].strip("0"):
            raise ValueError("finer than the currency's minor unit")
        return cls(int(whole) * 10**digits + int((part[:digits]).ljust(digits, "0") or "0"), currency)
