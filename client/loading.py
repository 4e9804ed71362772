"""Send a file of codes, show how far it is, and send it again if the way there or the shop breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from client.api import Failure, accepted, bearer, document, problem, resource, unreachable
from client.settings import Shop

MOST = 4 * 1024 * 1024  # bytes the API takes
LATER = "再次导入同一文件即可续完 Import the same file again: that completes it."
_CHUNK = 16 * 1024
_POLL = 1.0  # seconds
_PAUSES = (1.0, 2.0, 4.0)  # seconds before each try after the first
_PATIENCE = httpx.Timeout(30, read=150)  # seconds; longer than the shop itself may take


class Meter:
    """How far an import is: bars on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, size: int, cards: int) -> None:
        self._console, self._size, self._cards, self._sealed = console, size, cards, 0
        count = TextColumn("{task.completed:>9,.0f} / {task.total:,.0f} {task.fields[unit]}")
        self._lines = not console.is_interactive
        self.bars = Progress(TextColumn("{task.description}"), BarColumn(), count, console=console, disable=self._lines)
        self._upload = self._bar("上传 Upload", size, "bytes")
        self._sealing = self._bar("封存 Seal", cards, "cards")

    def _bar(self, name: str, total: int, unit: str) -> TaskID:
        return self.bars.add_task(name, start=False, total=total, unit=unit)

    def begin(self) -> None:
        if self._lines:
            self._console.print(f"上传 uploading {self._size:,} bytes, {self._cards:,} cards")
        self.bars.reset(self._upload)

    def uploaded(self, size: int) -> None:
        self.bars.update(self._upload, completed=size)

    def sealed(self, cards: int) -> None:
        if self._lines and cards != self._sealed:
            self._console.print(f"封存 sealed {cards:,} of {self._cards:,} cards")
        self._sealed = cards
        self.bars.start_task(self._sealing)
        self.bars.update(self._sealing, completed=cards)

    def again(self, why: str, pause: float, attempt: int) -> None:
        self._console.print(
            f"{why}\n{pause:g} 秒后重发 Sending the same file again in {pause:g} s, which is safe "
            f"({attempt}/{len(_PAUSES)})"
        )

    def done(self) -> None:
        self.bars.start_task(self._sealing)
        self.bars.update(self._sealing, completed=self._cards)


def cards_in(raw: bytes) -> int:
    """Lines that are not blank, as the shop counts them."""
    return sum(1 for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip())


async def load(shop: Shop, sku: str, raw: bytes, meter: Meter) -> tuple[dict[str, Any], bool]:
    """The API's answer, and whether this file was on sale before. Failure: refused, or out of tries.

    A try that got no answer may have gone on without us: the same file completes its batch, and adds no card twice.
    """
    async with httpx.AsyncClient(base_url=shop.url, headers=bearer(shop), timeout=_PATIENCE) as client:
        before = {batch["batch"]: batch["imported"] for batch in await _importing(client, sku)}
        why = ""
        for attempt, pause in enumerate((0.0, *_PAUSES)):
            if attempt:
                meter.again(why, pause, attempt)
                await asyncio.sleep(pause)
            meter.begin()
            watching = asyncio.create_task(_watch(client, sku, before, meter))
            try:
                answer = await client.post(
                    resource("products", sku, "cards"),
                    content=_chunks(raw, meter),
                    headers={"Content-Type": "text/plain", "Content-Length": str(len(raw))},
                )
            except httpx.TransportError as error:
                why = unreachable(error).message
            else:
                if answer.status_code < 500:
                    loaded = accepted(answer)
                    meter.done()
                    return loaded, answer.status_code == 200
                why = problem(answer)
            finally:
                watching.cancel()
    raise Failure(f"{why}\n{LATER}")


async def _chunks(raw: bytes, meter: Meter) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), _CHUNK):
        yield raw[start : start + _CHUNK]
        meter.uploaded(min(start + _CHUNK, len(raw)))


async def _watch(client: httpx.AsyncClient, sku: str, before: dict[str, int], meter: Meter) -> None:
    """Ours is the batch that was not being imported before, or has grown since: others broke off and lie still."""
    while True:
        await asyncio.sleep(_POLL)
        growing = [each for each in await _importing(client, sku) if each["imported"] > before.get(each["batch"], -1)]
        if growing:
            meter.sealed(max(growing, key=lambda each: each["created_at"])["imported"])


async def _importing(client: httpx.AsyncClient, sku: str) -> list[dict[str, Any]]:
    """Empty if the shop does not say: then nothing is shown, and the import itself will tell what is wrong."""
    with suppress(httpx.TransportError):
        found = document(await client.get(resource("products", sku))) or {}
        return [batch for batch in found.get("batches", []) if batch["status"] == "importing"]
    return []
