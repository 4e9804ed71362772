"""The shop's pages: what their first load weighs, and what Lighthouse says of them on a phone and at a computer.

What a first load weighs is reckoned from the built files as CloudFront sends them. Lighthouse sees them as heavy, since
they are put compressed where the local engine serves them from, but over HTTP/1.1.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import statistics
import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from benchmarks.buyer import Placed
from benchmarks.figures import EXACT, Figure
from benchmarks.stage import Stage
from engine import deploy, pages
from engine.processes import EngineError
from engine.stacks import Stack
from tests.house import House, ok

FIRST_LOAD_AT_MOST = 150  # KB
_PRODUCTS, _RUNS = 24, 5
_DEVICES = {"mobile": (), "desktop": ("--preset=desktop",)}
_CATEGORIES = ("performance", "accessibility", "best-practices")
_SHORT_AT_MOST = 5  # points of 100
_METRICS = {
    "FCP": "first-contentful-paint",
    "LCP": "largest-contentful-paint",
    "TBT": "total-blocking-time",
    "CLS": "cumulative-layout-shift",
    "speed index": "speed-index",
}
_LIGHTHOUSE = Path(__file__).parents[1] / "lighthouse" / "node_modules" / ".bin" / "lighthouse"
_TRIES, _LOST = 3, "NO_NAVSTART"
_PATIENCE = 180  # seconds
_KB = 1024

_NAMED = re.compile(r'(?:src|href)="/([^"]+)"')
_IMPORTED = re.compile(r"""(?:from|import)\s*["'`]\./([^"'`]+)""")
_AT_ONCE = re.compile(r"""import\(\s*["'`]\./(workbox-window[^"'`]+)""")  # to register the service worker with
_KEPT = re.compile(r'url:"([^"]+)"')
_WRITTEN_BY_DEPLOY = "config.json"

Report = dict[str, Any]


def run(stage: Stage) -> list[Figure]:
    built = pages.build()
    first, kept = first_load(built), kept_offline(built)
    house = stage.house
    stage.say("pages: uploading them, and a catalogue to show")
    pages.upload(Stack(house.stack, partial(deploy.aws, house.home)), built)
    house.channel()
    skus = [house.product(1)[0] for _ in range(_PRODUCTS)]
    figures, loaded = list[Figure](), set[str]()
    placed = house.placed(skus[0])
    house.pay(placed)
    house.until(placed, "delivered")
    visits: dict[str, tuple[Callable[[], str], str]] = {
        "catalogue": (lambda: house.outputs["PagesUrl"], "/"),
        "order": (lambda: _handed_over(house, placed), f"/orders/{placed['trade_id']}"),
    }
    for page, (link, lands_at) in visits.items():
        for device, options in _DEVICES.items():
            stage.say(f"pages: the {page}, {device}, {_RUNS} times")
            reports = [_audited(link, lands_at, *options) for _ in range(_RUNS)]
            figures += _scores(page, device, reports)
            if page == "catalogue":
                loaded |= {name for report in reports for name in _files(report)}
    uncompressed = sum((built / name).stat().st_size for name in first)
    unforeseen = loaded - first.keys()
    return [
        Figure(
            "pages.first_load",
            sum(first.values()) / _KB,
            "first load of the catalogue, compressed",
            "KB",
            beside=f"{len(first)} files",
            most=FIRST_LOAD_AT_MOST,
            tolerance=0.05,
            required=True,
            note=f"{uncompressed / _KB:.0f} KB without compression.",
        ),
        Figure(
            "pages.unforeseen",
            len(unforeseen),
            "files that a browser loaded then and are not counted",
            most=0,
            tolerance=EXACT,
            required=True,
            note=", ".join(sorted(unforeseen)),
        ),
        Figure(
            "pages.kept",
            sum(kept.values()) / _KB,
            "kept for offline, loaded afterwards",
            "KB",
            beside=f"{len(kept)} files",
            tolerance=0.05,
        ),
        *figures,
    ]


def first_load(built: Path) -> dict[str, int]:
    """What the browser loads until the catalogue is there, by name: bytes as CloudFront sends them, without headers.

    The page, whatever it names, and what those scripts import before they run; nothing that another route waits for.
    """
    todo, found = ["index.html"], dict[str, int]()
    while todo:
        name = todo.pop()
        if name in found or name == _WRITTEN_BY_DEPLOY:
            continue
        path = built / name
        found[name] = _sent(path)
        if path.suffix == ".html":
            todo += _NAMED.findall(path.read_text())
        elif path.suffix == ".js":
            script = path.read_text()
            imported = [*_IMPORTED.findall(script), *_AT_ONCE.findall(script)]
            todo += [(Path(name).parent / each).as_posix() for each in imported]
    return found


def kept_offline(built: Path) -> dict[str, int]:
    """What the service worker loads and keeps, itself included: bytes as above."""
    names = ["sw.js", *_KEPT.findall((built / "sw.js").read_text())]
    return {name: _sent(built / name) for name in names}


def _sent(path: Path) -> int:
    data = path.read_bytes()
    return len(gzip.compress(data, 6)) if pages.compressible(path.name, data) else len(data)


def _handed_over(house: House, placed: Placed) -> str:
    """A link by which one more terminal takes the order over."""
    return f"{house.outputs['PagesUrl']}/handoff#{ok(house.act(placed, 'handoffs'))['code']}"


def _audited(link: Callable[[], str], lands_at: str, *options: str) -> Report:
    """Lighthouse sometimes loses the beginning of a page that goes on to another at once, and says to run it again."""
    for _ in range(_TRIES - 1):
        try:
            return _audit(link(), lands_at, *options)
        except EngineError as error:
            if _LOST not in str(error):
                raise
    return _audit(link(), lands_at, *options)


def _audit(url: str, lands_at: str, *options: str) -> Report:
    """One run in a browser that was never here, with Lighthouse's own simulated throttling."""
    flags = ["--headless=new", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    asked = [str(_LIGHTHOUSE), url, f"--only-categories={','.join(_CATEGORIES)}", *options]
    how = [f"--chrome-flags={' '.join(flags)}", "--output=json", "--quiet", "--no-enable-error-reporting"]
    with TemporaryDirectory() as folder:  # into a pipe it writes 64 KB and may end before the rest is read
        path = Path(folder) / "report.json"
        asked.append(f"--output-path={path}")
        done = subprocess.run([*asked, *how], capture_output=True, text=True, timeout=_PATIENCE, check=False)
        if not path.exists():
            raise EngineError(f"Lighthouse of {url} ended with {done.returncode}: {done.stderr[-2000:]}")
        report: Report = json.loads(path.read_text("utf-8"))
    if "runtimeError" in report:
        raise EngineError(f"Lighthouse of {url}: {report['runtimeError']['message']}")
    if urlsplit(report["finalDisplayedUrl"]).path != lands_at:
        raise EngineError(f"Lighthouse of {url}: it ended at {report['finalDisplayedUrl']}")
    return report


def _scores(page: str, device: str, reports: list[Report]) -> Iterable[Figure]:
    """How far from 100 the median of the runs is."""
    for category in _CATEGORIES:
        scores = sorted(_score(report, category) for report in reports)
        timed = category == "performance"
        middle = sorted(reports, key=lambda report: _score(report, category))[len(reports) // 2]
        yield Figure(
            f"pages.{page}.{device}.{category}",
            100 - statistics.median(scores),
            f"{page}, {device}: {category}, points short of 100",
            beside=" ".join(map(str, scores)),
            most=_SHORT_AT_MOST,
            tolerance=None if timed else EXACT,
            note=_metrics(middle) if timed else ", ".join(_failed(middle, category)),
            required=not timed,
        )


def _score(report: Report, category: str) -> int:
    return round(100 * float(report["categories"][category]["score"]))


def _metrics(report: Report) -> str:
    audits = report["audits"]
    sent = sum(each.get("transferSize", 0) for each in audits["network-requests"]["details"]["items"])
    values = [f"{name} {audits[audit]['displayValue']}" for name, audit in _METRICS.items()]
    speed = report["environment"]["benchmarkIndex"]
    said = f"{', '.join(values)}; {sent / _KB:.0f} KB came; this machine's benchmark index: {speed:.0f}"
    return said.replace("\xa0", " ")


def _failed(report: Report, category: str) -> list[str]:
    weighed = [each["id"] for each in report["categories"][category]["auditRefs"] if each["weight"]]
    return [name for name in weighed if report["audits"][name]["score"] not in {None, 1}]


def _files(report: Report) -> set[str]:
    """The pages' own files among what this load asked for."""
    page = urlsplit(report["finalDisplayedUrl"])
    asked = [urlsplit(each["url"]) for each in report["audits"]["network-requests"]["details"]["items"]]
    names = {each.path.lstrip("/") or "index.html" for each in asked if each.netloc == page.netloc}
    return {name for name in names if not name.startswith("api/")} - {_WRITTEN_BY_DEPLOY}
