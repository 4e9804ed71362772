"""The commands. Each parses, calls the API once (or page by page) and shows what it answered."""

from __future__ import annotations

import asyncio
import uuid
from typing import IO

import click

from client import loading, views
from client.api import Failure, call
from client.settings import shop

_as_json = click.option("--json", "raw", is_flag=True, help="API 的原样应答 The API's answer as it is.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 72})
@click.option("--api", envvar="CARDSHOP_API", metavar="URL", help="店铺 API 地址 The shop's API [env: CARDSHOP_API].")
@click.pass_context
def cardshop(context: click.Context, api: str | None) -> None:
    """发卡网后台 The card shop's operators' client.

    The operator's token comes from the environment variable CARDSHOP_TOKEN, and there is no option for it: a token
    on a command line is in everyone's process list. Where no address and no token is given, both are those of the
    shop that `make up` started here.
    """
    context.obj = api


@cardshop.command()
@click.argument("sku", required=False)
@_as_json
@click.pass_obj
def products(api: str | None, sku: str | None, raw: bool) -> None:
    """商品与库存 The products, or one and its batches."""
    answer = call(shop(api), "GET", "products", *([sku] if sku else []))
    if raw:
        click.echo(answer.text)
    elif sku:
        views.console().print(views.product(answer.json()))
    else:
        views.console().print(views.products(answer.json()["products"]))


@cardshop.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--sku", required=True, help="商品货号 The product.")
@click.pass_obj
def load(api: str | None, file: IO[bytes], sku: str) -> None:
    """导入卡密 Load a file of cards, one a line.

    FILE may be - for standard input. All of it goes on sale at once, or nothing. An import that broke off is
    completed by importing the same file again.
    """
    to = shop(api)
    raw = file.read(loading.MOST + 1)
    if len(raw) > loading.MOST:
        raise Failure(f"文件过大 The file is too large: at most {loading.MOST:,} bytes")
    meter = loading.Meter(views.console(stderr=True), len(raw), loading.cards_in(raw))
    try:
        with meter.bars:
            answer, already = asyncio.run(loading.load(to, sku, raw, meter))
    except KeyboardInterrupt:
        raise Failure(f"已中断 Broken off.\n{loading.LATER}") from None
    views.console().print(views.loaded(answer, already))


#: A batch's id may begin with a dash.
_ANY_BATCH = {"ignore_unknown_options": True}


@cardshop.command(context_settings=_ANY_BATCH)
@click.argument("sku")
@click.argument("batch")
@click.pass_obj
def withdraw(api: str | None, sku: str, batch: str) -> None:
    """撤下批次 Take BATCH of SKU off sale.

    Its unsold cards stay where they are, and nobody can buy them.
    """
    _set(api, sku, batch, "withdrawn")


@cardshop.command(context_settings=_ANY_BATCH)
@click.argument("sku")
@click.argument("batch")
@click.pass_obj
def restore(api: str | None, sku: str, batch: str) -> None:
    """恢复批次 Put BATCH of SKU on sale again."""
    _set(api, sku, batch, "on_sale")


def _set(api: str | None, sku: str, batch: str, status: str) -> None:
    here = shop(api)
    call(here, "PUT", "products", sku, "batches", batch, json={"status": status})
    moved = [each for each in call(here, "GET", "products", sku).json()["batches"] if each["batch"] == batch]
    views.console().print(views.batches(moved))


@cardshop.command()
@click.argument("trade_id", required=False)
@click.option("--status", help="只看此状态 Only those in this state.")
@click.option("--tasks", is_flag=True, help="只看待人工处理 Only those that wait for an operator.")
@click.option("--all", "every", is_flag=True, help="全部页 Every page.")
@click.option("--limit", type=click.IntRange(1, 100), help="每页交易数 Trades a page.")
@_as_json
@click.pass_obj
def orders(
    api: str | None,
    trade_id: str | None,
    *,
    status: str | None,
    tasks: bool,
    every: bool,
    limit: int | None,
    raw: bool,
) -> None:
    """进行中的交易 The trades under way, or one's story.

    --json prints one line a page.
    """
    at = shop(api)
    if trade_id:
        if status or tasks or every or limit:
            raise click.UsageError("--status, --tasks, --all and --limit are for the list, not for one trade")
        answer = call(at, "GET", "orders", trade_id)
        if raw:
            click.echo(answer.text)
        else:
            views.console().print(views.order(answer.json()))
        return
    wanted = (("status", status), ("limit", limit), ("tasks", "open" if tasks else None))
    given = {name: value for name, value in wanted if value}
    found, after = [], None
    while True:
        answer = call(at, "GET", "orders", params={**given, **({"after": after} if after else {})})
        page = answer.json()
        found += page["orders"]
        after = page.get("next")
        if raw:
            click.echo(answer.text)
        if not (every and after):
            break
    if not raw:
        views.console().print(views.orders(found) if found else "没有 None.")
    if after:
        click.echo("还有更多 There are more: --all", err=True)


_note = click.option("--note", required=True, help="原因 Why: it is kept with the trade.")
_amount = click.option(
    "--amount", metavar="MINOR:CURRENCY", help="金额 In minor units: 990:CNY. All of it if not given."
)


@cardshop.command()
@click.argument("trade_id")
@click.option("--payment", metavar="PAYMENT", help="付款号 Which payment, if not the one that paid for the order.")
@_amount
@click.option("--done", metavar="REF", help="已手工退款 It was sent by hand; the provider's number of it.")
@click.option("--key", metavar="KEY", help="幂等键 Of an earlier try that broke off, so that nothing goes twice.")
@_note
@click.pass_obj
def refund(
    api: str | None,
    trade_id: str,
    *,
    payment: str | None,
    amount: str | None,
    done: str | None,
    key: str | None,
    note: str,
) -> None:
    """退款 Send money of TRADE_ID back.

    Through the provider where the channel can; else it waits for your own hands, and --done tells that it is done.
    """
    body = {"note": note, "payment_id": payment, "amount": _minor(amount), "provider_ref": done}
    key = key or str(uuid.uuid4())
    try:
        answer = call(
            shop(api),
            "POST",
            "orders",
            trade_id,
            "refunds",
            json={name: value for name, value in body.items() if value is not None},
            headers={"Idempotency-Key": key},
        )
    except Failure as failure:
        raise Failure(f"{failure}\n再试一次 To try the same refund again: --key {key}") from failure
    views.console().print(views.refund(answer.json()))


@cardshop.command()
@click.argument("trade_id")
@click.argument("payment")
@_note
@click.pass_obj
def keep(api: str | None, trade_id: str, payment: str, note: str) -> None:
    """保留款项 What is left of PAYMENT stays with the shop."""
    answer = call(shop(api), "POST", "orders", trade_id, "payments", payment, "keep", json={"note": note})
    views.console().print(views.orders([answer.json()]))


@cardshop.command("confirm")
@click.argument("trade_id")
@click.option("--payment", metavar="PAYMENT", help="付款号 Which payment, if not the latest.")
@_amount
@click.option("--ref", required=True, help="渠道流水号 The provider's number of the money.")
@_note
@click.pass_obj
def confirm_payment(
    api: str | None, trade_id: str, *, payment: str | None, amount: str | None, ref: str, note: str
) -> None:
    """人工确认收款 You have seen the money of TRADE_ID at the provider.

    The trade goes on as if the provider's notice had come.
    """
    body = {"note": note, "payment_id": payment, "amount": _minor(amount), "provider_ref": ref}
    given = {name: value for name, value in body.items() if value is not None}
    answer = call(shop(api), "POST", "orders", trade_id, "confirm-payment", json=given)
    views.console().print(views.orders([answer.json()]))


def _minor(amount: str | None) -> dict[str, object] | None:
    if amount is None:
        return None
    minor, _, currency = amount.partition(":")
    if not (minor.isascii() and minor.isdigit()):
        raise click.BadParameter("990:CNY, in minor units", param_hint="--amount")
    return {"minor": int(minor), "currency": currency}


@cardshop.command()
@click.option("--stack", help="AWS 上的堆栈名 The stack's name on AWS, if it is not the one that runs here.")
def token(stack: str | None) -> None:
    """操作员令牌 Print an operator's token.

    It lasts an hour, and is minted with your own AWS rights.
    """
    from engine.operators import token_of_stack
    from engine.processes import PROJECT, EngineError, Home
    from engine.shop import STACK

    try:
        click.echo(token_of_stack(Home(PROJECT / ".local"), stack or STACK))
    except EngineError as error:
        raise Failure(f"取不到令牌 No token: {error}") from error
