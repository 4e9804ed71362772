"""How the pages get to where they are served from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from engine import pages
from engine.processes import EngineError
from engine.stacks import Stack

ON_AWS = {
    "PagesUrl": "https://shop.example",
    "PagesBucket": "the-bucket",
    "PagesDistribution": "E1",
    "PushUrl": "wss://gateway.example/ws",
}
HERE = {**ON_AWS, "PagesUrl": "http://e1.cloudfront.localhost:4566", "PushUrl": "ws://127.0.0.1:4566/x/ws"}


class Cloud:
    """As much of AWS as is asked here."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs
        self.done: list[str] = []
        self.objects: dict[str, dict[str, Any]] = {}

    def client(self, service: str) -> Cloud:
        assert service in {"s3", "cloudfront", "cloudformation"}
        return self

    def describe_stacks(self, **asked: str) -> dict[str, Any]:
        assert asked == {"StackName": "shop"}
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": self.outputs[key]} for key in self.outputs]}]}

    def put_object(self, **given: Any) -> None:
        assert given["Bucket"] == "the-bucket"
        self.done.append(given["Key"])
        self.objects[given["Key"]] = given

    def create_invalidation(self, **asked: Any) -> None:
        assert asked["DistributionId"] == "E1"
        self.done.append(f"invalidated {asked['InvalidationBatch']['Paths']['Items']}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sw.js", "index.html", "assets/a-1.js", "assets/a-1.css", "icons/mark.svg", "manifest.webmanifest"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def uploaded(folder: Path, outputs: dict[str, str] = ON_AWS) -> Cloud:
    cloud = Cloud(outputs)
    pages.upload(Stack("shop", cloud.client), folder)
    return cloud


def test_a_page_comes_after_what_it_loads_and_the_service_worker_last(folder: Path) -> None:
    done = uploaded(folder).done
    assert done[-3:] == ["index.html", "sw.js", "invalidated ['/*']"]
    assert set(done[:-3]) == {
        "assets/a-1.js",
        "assets/a-1.css",
        "icons/mark.svg",
        "manifest.webmanifest",
        "config.json",
    }


def test_what_is_named_after_its_content_is_kept_for_ever_and_nothing_else_is(folder: Path) -> None:
    objects = uploaded(folder).objects
    kept = {name for name, each in objects.items() if "immutable" in each["CacheControl"]}
    assert kept == {"assets/a-1.js", "assets/a-1.css"}
    assert {each["CacheControl"] for name, each in objects.items() if name not in kept} == {"no-cache"}


def test_each_file_says_what_it_is(folder: Path) -> None:
    kinds = {name: each["ContentType"] for name, each in uploaded(folder).objects.items()}
    assert kinds["index.html"] == "text/html; charset=utf-8"
    assert kinds["sw.js"] == kinds["assets/a-1.js"] == "text/javascript; charset=utf-8"
    assert kinds["manifest.webmanifest"] == "application/manifest+json"
    (folder / "what.xyz").touch()
    with pytest.raises(EngineError, match=r"what\.xyz"):
        uploaded(folder)


@pytest.mark.parametrize(
    ("outputs", "push"), [(ON_AWS, "wss://shop.example/ws"), (HERE, "ws://127.0.0.1:4566/x/ws")], ids=["AWS", "here"]
)
def test_the_pages_are_told_where_the_shop_answers(folder: Path, outputs: dict[str, str], push: str) -> None:
    body = uploaded(folder, outputs).objects["config.json"]["Body"]
    assert json.loads(body) == {"api": "/api", "push": push}


def test_what_cloudfront_compresses_on_the_way_is_put_here_compressed(folder: Path) -> None:
    long = b"as CloudFront has it " * 50
    for name in ("assets/a-1.js", "icons/512.png"):
        (folder / name).write_bytes(long)
    here = uploaded(folder, HERE).objects
    assert gzip.decompress(here["assets/a-1.js"]["Body"]) == long
    assert {name for name, each in here.items() if each.get("ContentEncoding") == "gzip"} == {"assets/a-1.js"}
    assert here["icons/512.png"]["Body"] == long
    assert {each.get("ContentEncoding") for each in uploaded(folder).objects.values()} == {None}, "on AWS it is not"


def test_without_node_there_are_no_pages_and_all_else_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    cloud, said = Cloud(ON_AWS), list[str]()
    assert not pages.publish(Stack("shop", cloud.client), said.append)
    assert cloud.done == []
    assert "Node.js" in said[0]


def test_what_has_not_changed_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web, bin_ = tmp_path / "web", tmp_path / "bin"
    (web / "src").mkdir(parents=True)
    (tmp_path / "web" / "package-lock.json").write_text("{}")
    source = web / "src" / "a.ts"
    source.write_text("1")
    bin_.mkdir()
    npm = bin_ / "npm"
    npm.write_text('#!/bin/sh\necho "$1" >>../ran\n/bin/mkdir -p node_modules dist; : >dist/index.html\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_))
    monkeypatch.setattr(pages, "PROJECT", tmp_path)
    for name, there in (("_WEB", web), ("_BUILT", web / "dist"), ("_MODULES", web / "node_modules")):
        monkeypatch.setattr(pages, name, there)

    def ran() -> list[str]:
        pages.build()
        return (tmp_path / "ran").read_text().split()

    assert ran() == ["ci", "run"]
    assert ran() == ["ci", "run"]
    source.write_text("2")
    assert ran() == ["ci", "run", "run"]
    (web / "package-lock.json").write_text("{ }")
    assert ran() == ["ci", "run", "run", "ci", "run"]
