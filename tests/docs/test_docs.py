"""The docs name only what there is: files, make targets, commands, functions, alarms and paths of the API."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from client.commands import cardshop
from engine.__main__ import engine
from tests.template.cloudformation import PROJECT, RESOURCES, of_type

_READMES = [PROJECT / "README.md", PROJECT / "README.zh-CN.md"]
_OPERATIONS = PROJECT / "docs" / "operations.md"
_DOCS = [*_READMES, *sorted((PROJECT / "docs").glob("*.md")), PROJECT / "events" / "README.md"]

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*(?:/|\.(?:py|sh|md|yaml|toml|json|txt))")

each_doc = pytest.mark.parametrize("doc", _DOCS, ids=lambda doc: str(doc.relative_to(PROJECT)))
each_readme = pytest.mark.parametrize("readme", _READMES, ids=lambda readme: readme.name)


def _text(doc: Path) -> str:
    return doc.read_text(encoding="utf-8")


def _prose(doc: Path) -> str:
    return _FENCED.sub("", _text(doc))


def _spans(doc: Path) -> set[str]:
    """What stands between single backticks."""
    return set(re.findall(r"`([^`\n]+)`", _prose(doc)))


def _commands(doc: Path) -> str:
    """What somebody would type: fenced shell, and the spans."""
    fenced = (code for language, code in _FENCED.findall(_text(doc)) if language == "bash")
    return "\n".join([*fenced, *sorted(_spans(doc))])


def _anchors(doc: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", _prose(doc), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def _tree() -> frozenset[str]:
    """Every path of the project, folders with a slash at their end, but for what tools have made."""
    found = set()
    todo = [PROJECT]
    while todo:
        for path in todo.pop().iterdir():
            if path.name.startswith(".") or path.name in {"__pycache__", "node_modules"}:
                continue
            name = path.relative_to(PROJECT).as_posix()
            found.add(f"/{name}/" if path.is_dir() else f"/{name}")
            if path.is_dir():
                todo.append(path)
    return frozenset(found)


def _is_there(name: str) -> bool:
    """From the top or, as `adapters/tables.py`, from somewhere in it; or made by a run, and so ignored."""
    return any(path.endswith(f"/{name}") for path in _tree()) or name in _text(PROJECT / ".gitignore").split()


@each_doc
def test_every_link_leads_somewhere(doc: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(doc)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        there = doc.parent / file if file else doc
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), target


@each_doc
def test_every_file_named_is_there(doc: Path) -> None:
    named = {span for span in _spans(doc) if _PATH.fullmatch(span) and not span.startswith(".")}
    assert {name for name in named if not _is_there(name)} == set()


@each_readme
def test_the_picture_of_the_tree_is_of_this_tree(readme: Path) -> None:
    (picture,) = (code for language, code in _FENCED.findall(_text(readme)) if not language)
    named = set(re.findall(rf"(?:^|\s)({_PATH.pattern})(?=\s)", picture, re.MULTILINE))
    assert len(named) >= 10
    assert {name for name in named if f"/{name}" not in _tree()} == set()
    folders = {path for path in _tree() if path.count("/") == 2 and path.endswith("/")}
    assert {folder for folder in folders if not any(name.startswith(folder[1:]) for name in named)} == set()


@each_doc
def test_every_make_target_named_is_in_the_makefile(doc: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", _text(PROJECT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|[`(])make ([a-z-]+)", _commands(doc), re.MULTILINE))
    assert named <= targets


@each_doc
def test_every_command_of_the_client_named_is_one(doc: Path) -> None:
    assert set(re.findall(r"\./cardshop ([a-z]+)", _commands(doc))) <= cardshop.commands.keys()


@each_doc
def test_every_command_of_the_engine_named_is_one(doc: Path) -> None:
    assert set(re.findall(r"-m engine ([a-z-]+)", _commands(doc))) <= engine.commands.keys()


def test_every_line_of_the_logs_that_is_looked_for_is_written() -> None:
    code = [path for folder in ("functions", "layers/cardshop/cardshop") for path in (PROJECT / folder).rglob("*.py")]
    written = "".join(_text(path) for path in code)
    filters = re.findall(r"--filter ('[^']+'|\w+)", _commands(_OPERATIONS))
    phrases = {phrase for each in filters for phrase in re.findall(r'"[^"]+"|\w+', each.strip("'"))} - {"TRADE"}
    assert len(phrases) > 5
    assert {phrase for phrase in phrases if phrase.strip('"') not in written} == set()


@each_doc
def test_every_resource_named_in_a_command_is_in_the_template(doc: Path) -> None:
    commands = _commands(doc)
    named = set(re.findall(r"\bof ([A-Z]\w+)", commands)) | set(re.findall(r"\b[A-Z]\w+Function\b", commands))
    made_of_events = {
        f"{function}{event}"
        for function, properties in of_type("AWS::Serverless::Function").items()
        for event in properties.get("Events", {})
    }
    assert named <= RESOURCES.keys() | made_of_events


def test_every_queue_of_dead_letters_has_a_name_to_replay_it_by() -> None:
    dead = {name.removesuffix("DeadLetters") for name in of_type("AWS::SQS::Queue") if name.endswith("DeadLetters")}
    (said,) = re.findall(r"NAME is (.+?):", _prose(_OPERATIONS))
    assert set(re.findall(r"`(\w+)`", said)) == dead


def test_every_alarm_has_its_heading_and_every_heading_its_alarm() -> None:
    headings = re.findall(r"^### (\w+Alarm)$", _prose(_OPERATIONS), re.MULTILINE)
    assert sorted(headings) == sorted(of_type("AWS::CloudWatch::Alarm"))


def _api_in_template() -> set[tuple[str, str]]:
    return {
        (event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for function in of_type("AWS::Serverless::Function").values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    }


@each_readme
def test_the_table_of_the_api_is_the_templates(readme: Path) -> None:
    cells = re.findall(r"^\| (.*?) \| ", _prose(readme), re.MULTILINE)
    calls = [call for cell in cells for call in re.findall(r"`([A-Z]+(?:\\\|[A-Z]+)*) (/[^` ]*)`", cell)]
    said = [(method, path) for methods, path in calls for method in methods.split("\\|")]
    assert len(said) == len(set(said))
    assert set(said) == _api_in_template()


def test_both_readmes_name_the_same_commands_and_links() -> None:
    def named(readme: Path) -> tuple[set[str], list[str], set[str]]:
        lines = {re.sub(r"\s+#.*", "", line) for line in _commands(readme).splitlines()}
        typed = {line for line in lines if re.match(r"(make|sam|export|\./cardshop)\b", line)}
        values = [span for span in _spans(readme) if re.search(r'[{"=]', span)]
        links = set(re.findall(r"\]\(((?!README)[^)]+)\)", _prose(readme)))
        return typed, sorted(values), links

    english, chinese = (named(readme) for readme in _READMES)
    assert english == chinese
    assert len(english[0]) > 10
