"""What a first load weighs is told of what a browser loads then, and of nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks.parts.pages import FIRST_LOAD_AT_MOST, first_load, kept_offline
from engine import pages

PAGE = """<link rel="preload" href="/config.json"><link rel="manifest" href="/manifest.webmanifest">
<script type="module" src="/assets/a.js"></script><link rel="stylesheet" href="/assets/a.css">"""
FILES = {
    "index.html": PAGE,
    "manifest.webmanifest": "{}",
    "assets/a.js": 'import{x}from"./shared.js";import"./once.js";import(`./route.js`);import("./workbox-window.js")',
    "assets/shared.js": 'export*from"./deep.js";import{y}from"./a.js"',
    "assets/deep.js": "//",
    "assets/once.js": "//",
    "assets/route.js": 'import"./routes-own.js"',
    "assets/routes-own.js": "//",
    "assets/workbox-window.js": "//",
    "assets/a.css": "p{}" * 1000,
    "icons/big.png": "p" * 5000,
    "sw.js": 'precache([{url:"index.html",revision:"1"},{url:"icons/big.png",revision:null}])',
}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_first_load_is_the_page_what_it_names_and_what_that_imports(built: Path) -> None:
    scripts = {"a", "shared", "deep", "once", "workbox-window"}
    others = {"index.html", "manifest.webmanifest", "assets/a.css"}
    assert first_load(built).keys() == others | {f"assets/{name}.js" for name in scripts}


def test_what_is_long_enough_is_compressed_and_no_picture_is(built: Path) -> None:
    style, picture = (FILES[name].encode() for name in ("assets/a.css", "icons/big.png"))
    assert first_load(built)["assets/a.css"] == len(gzip.compress(style, 6)) < 100
    assert first_load(built)["assets/a.js"] == len(FILES["assets/a.js"])
    assert kept_offline(built) == {
        "index.html": len(PAGE),
        "icons/big.png": len(picture),
        "sw.js": len(FILES["sw.js"]),
    }


def test_a_page_that_names_a_file_that_is_not_there_has_no_weight(built: Path) -> None:
    (built / "assets" / "deep.js").unlink()
    with pytest.raises(FileNotFoundError, match=r"deep\.js"):
        first_load(built)


def test_the_first_load_of_the_catalogue_is_light() -> None:
    built = pages.build()
    found = first_load(built)
    assert {Path(name).suffix for name in found} >= {".html", ".js", ".css", ".webmanifest"}
    assert sum(found.values()) <= FIRST_LOAD_AT_MOST * 1024
    assert not any("order-" in name or "checkout-" in name for name in found), "a route is loaded when it is gone to"
