"""`python -m engine`: what the Makefile and the runbooks of `docs/operations.md` call."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from engine import operators, pages, processes, shop, snapstart, stacks
from engine.astray import astray
from engine.letters import QUEUES, letters
from engine.processes import PROJECT, EngineError, Home

_stack = click.option("--stack", default=shop.STACK, show_default=True, help="The deployed stack's name.")
_home = click.Path(file_okay=False, resolve_path=True, path_type=Path)


@click.group()
@click.option("--home", type=_home, default=PROJECT / ".local", help="Where the local shop keeps everything.")
@click.pass_context
def engine(context: click.Context, home: Path) -> None:
    """The local shop, and what an operator does with their own AWS rights: here if it is up, else on AWS."""
    context.obj = Home(home)


@engine.command()
@click.pass_obj
def up(home: Home) -> None:
    """Start the engine and the simulated provider, deploy, stock the demo product."""
    outputs = shop.up(home, _say)
    _say(f"ready: {outputs['api_url']} (everything in {home.path / 'outputs.json'})")


@engine.command()
@click.pass_obj
def down(home: Home) -> None:
    """Stop what `up` started; everything is kept."""
    processes.stop(home)


@engine.command()
@click.pass_obj
def demo(home: Home) -> None:
    """The same as `up`, then sell one card for real."""
    shop.sell_one(home, shop.up(home, _say), _say)


@engine.command()
@_stack
@click.pass_obj
def operator_token(home: Home, stack: str) -> None:
    """Print a one-hour operator token."""
    click.echo(operators.token_of_stack(home, stack))


@engine.command("pages")
@_stack
def publish_pages(stack: str) -> None:
    """Build the pages and put them on AWS, for a stack that is deployed there."""
    with stacks.opened(None, stack) as found:
        if pages.publish(found, click.echo):
            click.echo(found.outputs()["PagesUrl"])


@engine.command("snapstart")
def switch_snapstart_on() -> None:
    """Between `sam build` and `sam deploy`: what is deployed next starts from snapshots."""
    snapstart.switch_on(snapstart.BUILT)


@engine.command("letters")
@click.argument("name", type=click.Choice(list(QUEUES)))
@click.option("--again", is_flag=True, help="Send them back.")
@_stack
@click.pass_obj
def show_letters(home: Home, name: str, again: bool, stack: str) -> None:
    """Show dead letters, or send them back to where they came from."""
    with stacks.opened(home, stack) as found:
        letters(found, name, again=again, say=click.echo)


#: A batch's id may begin with a dash.
@engine.command("astray", context_settings={"ignore_unknown_options": True})
@click.argument("sku")
@click.argument("batch")
@_stack
@click.pass_obj
def show_astray(home: Home, sku: str, batch: str, stack: str) -> None:
    """Print the cards of a batch that are nowhere, or in two places. It reads whole tables."""
    with stacks.opened(home, stack) as found:
        for line in astray(found, sku, batch):
            click.echo(line)


_started = time.monotonic()


def _say(what: str) -> None:
    print(f"[{time.monotonic() - _started:6.1f} s] {what}", flush=True)


if __name__ == "__main__":
    try:
        engine(prog_name="engine")
    except EngineError as error:
        sys.exit(f"error: {error}")
