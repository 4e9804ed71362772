"""What the API answered, as tables for people: 80 columns on a terminal, as wide as it takes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.api import printable

#: Digits after the point, where they are not two (ISO 4217).
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX"), 0),
    **dict.fromkeys(("UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}

#: Every state the API names, in Chinese and as it looks.
_WORDS = {
    "pending_payment": ("待支付", "yellow"),
    "paid": ("支付成功", "cyan"),
    "payment_failed": ("支付失败", "red"),
    "awaiting_stock": ("待补货", "bold red"),
    "delivered": ("发货成功", "green"),
    "completed": ("交易完成", "green"),
    "closed": ("交易关闭", "dim"),
    "on_hold": ("风控挂起", "bold red"),
    "refunding": ("退款中", "magenta"),
    "refunded": ("已退款", "magenta"),
    "open": ("待付", "yellow"),
    "accepted": ("已入账", "green"),
    "short": ("少付", "bold red"),
    "surplus": ("多付", "bold red"),
    "duplicate": ("重复支付", "bold red"),
    "late": ("逾时到账", "bold red"),
    "failed": ("失败", "red"),
    "charged_back": ("拒付", "bold red"),
    "requested": ("已申请", "magenta"),
    "pending": ("退款在途", "magenta"),
    "done": ("已退", "magenta"),
    "refused": ("被拒", "red"),
    "by_hand": ("待人工", "bold red"),
    "forfeited": ("已失效", "bold red"),
    "revealed": ("已读取", "green"),
    "given": ("已发", "green"),
    "held": ("占用", "yellow"),
    "on_sale": ("在售", "green"),
    "hidden": ("隐藏", "dim"),
    "importing": ("导入中", "yellow"),
    "withdrawn": ("已撤下", "dim"),
    "in_stock": ("有货", "green"),
    "low": ("偏低", "yellow"),
    "out_of_stock": ("缺货", "bold red"),
}
_MANY = 20  # line numbers shown


def console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    made.width = max(80, made.width) if made.is_terminal else 10_000  # nothing is folded for a program that reads it
    return made


def money(amount: dict[str, Any]) -> str:
    """`990 CNY` → `9.90 CNY`, `100 JPY` → `100 JPY`."""
    digits = _EXPONENTS.get(amount["currency"], 2)
    whole, part = divmod(amount["minor"], 10**digits)
    return f"{whole:,}{f'.{part:0{digits}d}' if digits else ''} {amount['currency']}"


def moment(when: str, precision: str = "seconds") -> str:
    """An instant by this machine's clock, as whoever sits at it reads it."""
    local = datetime.fromisoformat(when).astimezone().replace(tzinfo=None)
    return local.isoformat(sep=" ", timespec=precision)


def products(found: Iterable[dict[str, Any]]) -> RenderableType:
    table = _table(
        "货号\n~SKU", "名称、分类\n~Name, category", "价格\n>Price", "状态\nStatus", "库存\nStock", "数量\n>Qty"
    )
    for each in found:
        stock = each["stock"]
        category = [("\n" + printable(each["category"]), "dim")] if "category" in each else []
        table.add_row(
            _text(each["sku"]),
            Text.assemble(printable(each["name"]), *category),
            _text(money(each["price"])),
            _state(each["status"]),
            _state(stock["level"]),
            _text(f"{stock['quantity']:,}"),
        )
    return table


def product(found: dict[str, Any]) -> RenderableType:
    none_yet = "还没有导入过 Nothing was imported yet."
    return Group(
        products([found]), _section("批次 Batches", batches(found["batches"]) if found["batches"] else none_yet)
    )


def batches(found: Iterable[dict[str, Any]]) -> RenderableType:
    table = _table(
        "批次\nBatch",
        "状态\nStatus",
        "导入\n>Imported",
        "在售\n>On sale",
        "占用\n>Held",
        "已售\n>Sold",
        "本地时间\n~Local time",
    )
    for each in found:
        counts = [_text(f"{each[name]:,}") for name in ("imported", "on_sale", "held", "sold")]
        table.add_row(_text(each["batch"]), _state(each["status"]), *counts, _text(moment(each["created_at"])))
    return table


def loaded(answer: dict[str, Any], already: bool) -> RenderableType:
    said = "此文件先前已导入 This file was imported already" if already else "已上架 On sale now"
    grid = _facts()
    grid.add_row("货号 SKU", _text(answer["sku"]))
    grid.add_row("批次 Batch", _text(answer["batch"]))
    grid.add_row("状态 Status", _both(answer["status"]))
    grid.add_row("导入 Imported", _text(f"{answer['imported']:,}"))
    grid.add_row("编码 Encoding", _text(answer["encoding"]))
    grid.add_row("重复 Duplicates", _text(_lines(answer["duplicates"])))
    return Group(Text(said, "bold yellow" if already else "bold green"), grid)


def orders(found: Iterable[dict[str, Any]]) -> RenderableType:
    table = _table(
        "交易 Trade\n~商品 Items, 终端 terminal", "状态\nStatus", "金额\n>Amount", "付款\nPayments", "创建\nLocal time"
    )
    for each in found:
        items = ", ".join(f"{line['sku']} ×{line['quantity']}" for line in each["items"])
        word, style = _WORDS.get(each["status"], ("", ""))
        table.add_row(
            Text.assemble(printable(each["trade_id"]), "\n", (printable(f"{items}, {each['terminal']}"), "dim")),
            Text(f"{printable(each['status'])}\n{word}", style),
            Text("\n").join(_text(part) for part in money(each["amount"]).split()),
            Text("\n").join(_state(payment["state"]) for payment in each["payments"]),
            Text("\n").join(_text(part) for part in moment(each["created_at"]).split()),
        )
    return table


def order(found: dict[str, Any]) -> RenderableType:
    grid = _facts()
    grid.add_row("交易 Trade", _text(found["trade_id"]))
    grid.add_row("状态 Status", _both(found["status"]))
    grid.add_row("金额 Amount", _text(money(found["amount"])))
    for line in found["items"]:
        item = f"{line['name']} ({line['sku']}) ×{line['quantity']}, {money(line['price'])}"
        grid.add_row("商品 Item", _text(item))
    grid.add_row("终端 Terminal", _text(found["terminal"]))
    grid.add_row("创建 Created", _text(moment(found["created_at"])))
    grid.add_row("到期 Expires", _text(moment(found["expires_at"])))
    return Group(
        grid,
        _section("付款 Payments", _payments(found["payments"])),
        *([_section("待办 To do", _tasks(found["tasks"]))] if found.get("tasks") else []),
        *([_section("卡密 Cards", _cards(found["cards"]))] if found.get("cards") else []),
        _section("经过 Timeline", _timeline(found["timeline"])),
        _section("异常 Incidents", _incidents(found["incidents"]) if found["incidents"] else "没有 None."),
    )


def refund(answer: dict[str, Any]) -> RenderableType:
    made = answer["refund"]
    grid = _facts()
    grid.add_row("退款 Refund", _text(made["refund_id"]))
    grid.add_row("状态 Status", _both(made["state"]))
    grid.add_row("金额 Amount", _text(money(made["amount"])))
    grid.add_row("交易 Trade", _text(answer["order"]["trade_id"]))
    grid.add_row("交易状态 Its status", _both(answer["order"]["status"]))
    return grid


def _payments(found: Iterable[dict[str, Any]]) -> Table:
    table = _table("付款号\nPayment", "渠道\n~Channel", "状态\n~State", "应付\n>Amount", "实付\n>Paid")
    for each in found:
        paid = money(each["paid"]) if "paid" in each else ""
        table.add_row(
            _text(each["payment_id"]),
            _text(each["channel"]),
            _both(each["state"]),
            _text(money(each["amount"])),
            _text(paid),
        )
    return table


def _tasks(found: Iterable[dict[str, Any]]) -> Table:
    words = {
        "refund_by_hand": "手工退款 Send it back by hand, then: cardshop refund --done",
        "decide_on_surplus": "多付的款项 Refund what came too much, or keep it: cardshop refund, cardshop keep",
    }
    table = _table("付款号\nPayment", "事项\n~What")
    for each in found:
        table.add_row(_text(each["payment_id"]), _text(words.get(each["task"], each["task"])))
    return table


def _cards(found: Iterable[dict[str, Any]]) -> Table:
    table = _table("货号\n~SKU", "卡号\n~Card id", "状态\nState")
    for each in found:
        table.add_row(_text(each["sku"]), _text(each["card_id"]), _both(each["state"]))
    return table


def _timeline(changes: Iterable[dict[str, Any]]) -> Table:
    table = _table("本地时间\nLocal time", "事件\nWhat", "经手\nBy", "终端\nTerminal", "地址、设备\n~Address, device")
    for each in changes:
        whence = [each[name] for name in ("address", "device") if name in each]
        table.add_row(
            _text(moment(each["when"], "milliseconds")),
            _state(each["what"]),
            _text(each["by"]),
            _text(each["terminal"] or ""),
            _text(" ".join(whence)),
        )
    return table


def _incidents(found: Iterable[dict[str, Any]]) -> Table:
    table = _table("本地时间\nLocal time", "异常\nKind", "渠道、付款号、详情\n~Channel, payment, detail")
    for each in found:
        table.add_row(
            _text(moment(each["at"], "milliseconds")),
            Text(printable(each["kind"]), "bold red"),
            _text(f"{each['channel']} {each['payment_id']} {each['detail']}"),
        )
    return table


def _table(*headers: str) -> Table:
    """Two-line headers. A second line that begins with `>` sets the column to the right, with `~` lets it fold."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for header in headers:
        first, _, second = header.partition("\n")
        folds, right = second.startswith("~"), second.startswith(">")
        table.add_column(
            f"{first}\n{second.lstrip('~>')}",
            justify="right" if right else "left",
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
        )
    return table


def _facts() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _section(title: str, content: RenderableType) -> Group:
    return Group("", Text(title, "bold"), content)


def _text(value: str) -> Text:
    return Text(printable(value))


def _state(name: str) -> Text:
    return Text(printable(name), _WORDS.get(name, ("", ""))[1])


def _both(name: str) -> Text:
    word, style = _WORDS.get(name, ("", ""))
    return Text(f"{printable(name)} {word}".rstrip(), style)


def _lines(numbers: list[int]) -> str:
    if not numbers:
        return "0"
    more = f" … and {len(numbers) - _MANY:,} more" if len(numbers) > _MANY else ""
    return f"{len(numbers):,}: 行 lines {', '.join(str(number) for number in numbers[:_MANY])}{more}"
