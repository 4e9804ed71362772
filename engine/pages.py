"""The shop's pages: built from `web/`, and put where their distribution serves them from."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from engine.processes import PROJECT, EngineError
from engine.stacks import Stack

_WEB = PROJECT / "web"
_BUILT = _WEB / "dist"
_MODULES = _WEB / "node_modules"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_COMPRESSED = {".css", ".html", ".js", ".json", ".svg", ".webmanifest"}
_COMPRESSED_FROM = 1000  # bytes
_FOR_EVER, _ASK_FIRST = "public, max-age=31536000, immutable", "no-cache"
Say = Callable[[str], None]


def publish(stack: Stack, say: Say) -> bool:
    """Builds and uploads them. False, and said why: there is nothing to build them with, and all else works without.

    What is there stays: a page that is open may yet ask for a file that only the last build had.
    """
    if shutil.which("npm") is None:
        say("no pages: Node.js is missing (20 or newer)")
        return False
    upload(stack, build())
    return True


def build() -> Path:
    """The folder of the built pages. What has not changed since the last build is not built again."""
    kept = PROJECT / ".local"
    kept.mkdir(exist_ok=True)
    with (kept / "pages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make test` may build beside `make up`
        _unless_made(_MODULES / ".ready", _digest([_WEB / "package-lock.json"]), "ci", "--no-audit", "--no-fund")
        _unless_made(kept / "pages.sha256", _digest(_sources()), "run", "build", there=_BUILT / "index.html")
    return _BUILT


def upload(stack: Stack, folder: Path) -> None:
    """A page after what it loads, and the service worker last: it keeps what it finds then.

    The local engine's distributions compress nothing: what CloudFront would compress on the way is put there so.
    """
    outputs, s3, last = stack.outputs(), stack.client("s3"), ["index.html", "sw.js"]
    here = urlsplit(outputs["PagesUrl"]).scheme == "http"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files["config.json"] = json.dumps({"api": "/api", "push": _push(outputs)}).encode()
    for name in sorted(files, key=lambda name: (last.index(name) if name in last else -1, name)):
        kind = _TYPES.get(Path(name).suffix)
        if kind is None:
            raise EngineError(f"{name}: pages have no such files; say in {Path(__file__).name} what they are")
        body, coding = files[name], dict[str, str]()
        if here and compressible(name, body):
            body, coding = gzip.compress(body, mtime=0), {"ContentEncoding": "gzip"}
        s3.put_object(
            Bucket=outputs["PagesBucket"],
            Key=name,
            Body=body,
            ContentType=kind,
            CacheControl=_FOR_EVER if name.startswith("assets/") else _ASK_FIRST,
            **coding,
        )
    stack.client("cloudfront").create_invalidation(
        DistributionId=outputs["PagesDistribution"],
        InvalidationBatch={"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": str(uuid.uuid4())},
    )


def compressible(name: str, body: bytes) -> bool:
    """Whether CloudFront compresses it on the way."""
    return Path(name).suffix in _COMPRESSED and len(body) >= _COMPRESSED_FROM


def _push(outputs: dict[str, str]) -> str:
    """Behind the pages' own name, but for the local engine, whose distributions carry no WebSocket."""
    pages = urlsplit(outputs["PagesUrl"])
    return f"wss://{pages.netloc}/ws" if pages.scheme == "https" else outputs["PushUrl"]


def _sources() -> Iterable[Path]:
    made = {"node_modules", "dist", "dev-dist"}
    for top in sorted(_WEB.iterdir()):
        if top.name not in made:
            yield from sorted(path for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file())


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(json.dumps(str(path.relative_to(_WEB))).encode() + path.read_bytes())
    return digest.hexdigest()


def _unless_made(stamp: Path, digest: str, *npm: str, there: Path = _WEB) -> None:
    if there.exists() and stamp.exists() and stamp.read_text() == digest:
        return
    log = PROJECT / ".local" / "pages.log"
    with log.open("wb") as output:
        done = subprocess.run(
            ["npm", *npm], cwd=_WEB, env={**os.environ, "CI": "1"}, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise EngineError(f"npm {' '.join(npm)} failed:\n{tail}\n(all of it: {log})")
    stamp.write_text(digest)
