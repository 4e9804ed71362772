"""The HTML the buyer sees: the pay page and the small error page."""

from html import escape

from simulators.epay.protocol import FROZEN, PAID, REFUNDED, TYPES, UNPAID, format_money
from simulators.epay.store import Payment

_STYLE = """
:root { color-scheme: light dark; --page: #f2f4f7; --card: #fff; --ink: #1b2430; --soft: #5f6b7a;
  --line: #e4e8ee; --accent: #1668dc; }
.wxpay { --accent: #0a8f43; } .qqpay { --accent: #0b7fb5; } .error { --accent: #c2362b; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1c222b; --ink: #e8edf4;
  --soft: #9aa7b8; --line: #2e3743; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; padding: 24px 16px; background: var(--page);
  color: var(--ink); display: flex; flex-direction: column; align-items: center; justify-content: center;
  font: 16px/1.5 system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { width: 100%; max-width: 420px; background: var(--card); border-radius: 16px; overflow: hidden;
  border: 1px solid var(--line); box-shadow: 0 12px 32px rgb(0 0 0 / .08); }
header { background: var(--accent); color: #fff; padding: 14px 24px; font-weight: 600; }
small, .en { color: var(--soft); font-size: 13px; font-weight: 400; }
header .en { color: inherit; opacity: .85; margin-left: 6px; }
.sum { padding: 24px 24px 20px; text-align: center; }
.sum b { display: block; font-size: clamp(28px, 10vw, 42px); line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.state { font-size: 20px; font-weight: 600; }
dl { margin: 0 24px; padding: 12px 0; border-block: 1px solid var(--line); }
dl div { display: flex; justify-content: space-between; gap: 24px; padding: 5px 0; }
dt { color: var(--soft); flex: none; }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; }
form, .foot { padding: 20px 24px 24px; margin: 0; }
label { display: flex; gap: 10px; align-items: flex-start; cursor: pointer; margin-bottom: 18px; }
label span { line-height: 1.4; } label small { display: block; }
input[type=checkbox] { width: 20px; height: 20px; margin: 1px 0 0; flex: none; accent-color: var(--accent); }
button, .back { display: block; width: 100%; padding: 13px; border: 0; border-radius: 10px; cursor: pointer;
  background: var(--accent); color: #fff; font: inherit; font-weight: 600;
  text-align: center; text-decoration: none; }
button:hover, .back:hover { filter: brightness(1.08); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
footer { margin-top: 16px; text-align: center; }
"""

_STATES = {
    UNPAID: ("待付款", "Amount to pay"),
    PAID: ("✓ 已支付", "Paid"),
    REFUNDED: ("已退款", "Refunded"),
    FROZEN: ("已冻结", "Frozen"),
}


def pay_page(payment: Payment, back: str) -> str:
    """The payment with the form that pays it or, once it is paid, with the way back to the shop."""
    kind, kind_en = TYPES[payment.type]
    state, state_en = _STATES[payment.status]
    rows = (
        ("商户", "Merchant", payment.pid),
        ("商品", "Product", payment.name),
        ("订单号", "Order", payment.out_trade_no),
        ("交易号", "Trade no.", payment.trade_no),
    )
    facts = "".join(
        f'<div><dt>{zh} <span class="en">{en}</span></dt><dd>{escape(value)}</dd></div>' for zh, en, value in rows
    )
    below = ""
    if payment.status == UNPAID:
        below = f"""<form method="post" action="/pay.php">
<input type="hidden" name="trade_no" value="{escape(payment.trade_no)}">
<input type="hidden" name="token" value="{escape(payment.token)}">
<label><input type="checkbox" name="notify" value="1" checked>
<span>付款后发送异步通知<small>Send the notice; untick to simulate a lost one.</small></span></label>
<button type="submit">确认付款 · Pay now</button>
</form>"""
    elif payment.status == PAID:
        below = f'<div class="foot"><a class="back" href="{escape(back)}">返回商户 · Back to the shop</a></div>'
    return _page(
        f"{kind} · {kind_en}",
        payment.type,
        f"""<header>{kind}<span class="en">{kind_en}</span></header>
<div class="sum"><span class="state">{state}</span> <span class="en">{state_en}</span>
<b>¥{format_money(payment.money)}</b></div>
<dl>{facts}</dl>{below}""",
    )


def error_page(text: str, text_en: str) -> str:
    """A short explanation why there is nothing to pay here."""
    return _page(
        "错误 · Error",
        "error",
        f"""<header>无法继续<span class="en">Cannot continue</span></header>
<div class="sum"><span class="state">{escape(text)}</span><br>
<span class="en">{escape(text_en)}</span></div>""",
    )


def _page(title: str, kind: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{_STYLE}</style></head>
<body class="{kind}"><main>{content}</main>
<footer><small>模拟支付，不会真实扣款 · Simulated payment, no money moves</small></footer></body></html>
"""
