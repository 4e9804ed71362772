"""`./cardshop` itself, as a process of its own, on a terminal and off it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.client.conftest import TRADE
from tests.client.shop import PATIENCE, TOKEN, Shop, made_batch, made_order

SCRIPT = Path(__file__).parents[2] / "cardshop"
CARDS = "".join(f"CODE-{number}\n" for number in range(1000))
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def around(shop: Shop) -> dict[str, str]:
    """The caller's environment: nothing in it makes a terminal of a pipe, or another of a terminal."""
    rich = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    plain = {name: value for name, value in os.environ.items() if name not in rich}
    return {**plain, "TERM": "xterm-256color", "CARDSHOP_API": shop.url, "CARDSHOP_TOKEN": TOKEN}


def on_a_terminal(shop: Shop, *arguments: str, columns: int = 80) -> str:
    """What a person at a terminal of this width sees of a command that succeeds."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [SCRIPT, *arguments], env=around(shop), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
        os.close(ours)
        assert process.wait(PATIENCE) == 0, seen.decode()
    assert TOKEN not in seen.decode()
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side is closed
        return b""


def test_it_runs_from_any_folder_through_a_link_and_takes_nothing_there_for_its_own(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "shop").symlink_to(SCRIPT)
    (tmp_path / "cards.txt").write_text(CARDS)
    for name in ("client", "httpx"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    done = subprocess.run(
        ["./shop", "import", "cards.txt", "--sku", "steam-50"],
        cwd=tmp_path,
        env=around(shop),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "On sale now" in done.stdout
    assert shop.files == [CARDS.encode()]
    assert TOKEN not in done.stdout + done.stderr


def test_without_its_environment_it_says_what_to_run(tmp_path: Path) -> None:
    copied = shutil.copy(SCRIPT, tmp_path)
    done = subprocess.run([copied, "products"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode != 0
    assert f"run make first, in {tmp_path}: `make up`" in done.stderr


def test_on_a_terminal_an_import_has_bars_for_its_bytes_and_its_cards(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "cards.txt").write_text(CARDS)
    shop.looks = 2
    seen = on_a_terminal(shop, "import", str(tmp_path / "cards.txt"), "--sku", "steam-50")
    plain = _ESCAPES.sub("", seen)
    assert re.search(rf"Upload +━+ +{len(CARDS):,} / {len(CARDS):,} bytes", plain)
    assert re.search(r"Seal +━+ +0 / 1,000 cards", plain)
    assert re.search(r"Seal +━+ +1,000 / 1,000 cards", plain)
    assert "CODE-" not in plain


def test_every_table_fits_eighty_columns_with_its_ids_and_numbers_whole(shop: Shop) -> None:
    shop.products["steam-50"]["name"] = "Microsoft 365 家庭版 一年订阅 Family one year, for 6 people"
    shop.products["steam-50"]["price"] = {"minor": 39_800_000, "currency": "CNY"}
    batch = "dG9vLWxvbmctdG8tYmUtZm"
    shop.batches["steam-50"] = {batch: made_batch(batch, "withdrawn", imported=10_000, on_sale=10_000)}
    shop.orders[TRADE] = made_order(TRADE, "pending_payment", amount={"minor": 39_800_000, "currency": "CNY"})
    wanted = {
        ("products",): ["398,000.00 CNY", "1,998"],
        ("products", "steam-50"): [batch, "10,000"],
        ("orders",): [TRADE, "398,000.00", "pending_payment", "2026-11-2"],
        ("orders", TRADE): [f"{TRADE}01", "398,000.00 CNY", "cards_revealed"],
    }
    for command, whole in wanted.items():
        seen = _ESCAPES.sub("", on_a_terminal(shop, *command))
        assert [line for line in seen.splitlines() if cell_len(line) > 80] == []
        assert [each for each in whole if each not in seen] == []


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Whoever is started here hears SIGINT: what a shell runs in the background does not, nor does what that starts."""
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, kept)


@pytest.mark.usefixtures("_interruptible")
def test_an_import_that_is_interrupted_says_how_to_go_on(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "cards.txt").write_text(CARDS)
    shop.looks = 1_000_000
    with subprocess.Popen(
        [SCRIPT, "import", tmp_path / "cards.txt", "--sku", "steam-50"],
        env=around(shop),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert shop.loading.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (1, "")
    assert "Import the same file again: that completes it." in complained
    assert "Traceback" not in complained


@pytest.mark.parametrize("command", ["products", "orders"])
def test_off_a_terminal_nothing_is_folded(shop: Shop, command: str) -> None:
    shop.products["steam-50"]["name"] = "很长的名字 a very long name" * 4
    shop.orders[TRADE]["items"][0]["sku"] = "a-very-long-sku-" * 4
    done = subprocess.run(
        [SCRIPT, command], env=around(shop), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    long = {"products": "很长的名字 a very long name" * 4, "orders": f"{'a-very-long-sku-' * 4} ×1, miniapp"}
    assert long[command] in done.stdout
    assert "\x1b" not in done.stdout
