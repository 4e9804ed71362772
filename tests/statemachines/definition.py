"""`trade.asl.json` as a machine: its substitutions filled in, its paths walked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.template.cloudformation import PROJECT, RESOURCES

TEXT = (PROJECT / "statemachines" / "trade.asl.json").read_text(encoding="utf-8")
SUBSTITUTIONS: dict[str, Any] = RESOURCES["TradeMachine"]["Properties"]["DefinitionSubstitutions"]
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def placeholders() -> list[str]:
    return _PLACEHOLDER.findall(TEXT)


def filled(values: Mapping[str, object]) -> str:
    """The definition with these values; KeyError for a placeholder without one."""
    return _PLACEHOLDER.sub(lambda match: str(values[match.group(1)]), TEXT)


#: Numbers where numbers belong, each placeholder's own name elsewhere.
MACHINE: dict[str, Any] = json.loads(filled({name: 60 if name.endswith("Seconds") else name for name in SUBSTITUTIONS}))
STATES: dict[str, dict[str, Any]] = MACHINE["States"]


def caught(state: str, error: str) -> str | None:
    """Where this state goes on this error, if it does."""
    for catcher in STATES[state].get("Catch", []):
        if error in catcher["ErrorEquals"]:
            return str(catcher["Next"])
    return None


def path(first: str | None) -> list[str]:
    """The states from this one to the end, if nothing goes wrong on the way."""
    walked: list[str] = []
    while first is not None:
        walked.append(first)
        first = STATES[first].get("Next")
    return walked
