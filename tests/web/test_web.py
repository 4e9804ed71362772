"""The pages' own tests, and what they must know exactly as the shop does."""

from __future__ import annotations

import re
import subprocess

from cardshop.domain import money

from engine import pages
from engine.processes import PROJECT

WEB = PROJECT / "web"


def test_the_pages_own_tests_pass() -> None:
    pages.build()  # installs what they need
    done = subprocess.run(["npm", "test"], cwd=WEB, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_and_shop_agree_on_every_currencys_decimals() -> None:
    """Another number of them would show another amount than is paid."""
    (table,) = re.findall(r"const EXPONENTS.*?^};", (WEB / "src" / "show.ts").read_text(), re.MULTILINE | re.DOTALL)
    groups = re.findall(r'"([A-Z ]+)"\.split\(" "\)\.map\(\(each\) => \[each, (\d)\]\)', table)
    assert {code: int(digits) for codes, digits in groups for code in codes.split()} == money._EXPONENTS
