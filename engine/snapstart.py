"""SnapStart in the built template: each deployment publishes every function, and whoever calls one calls its alias.

Not in `template.yaml`: SAM publishes when a template's text is new, and a parameter's new value is not in it; nor are
published versions for the local engine, and for whoever changes a running function's settings to watch it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_dump, yaml_parse  # type: ignore[import-untyped]

from engine.processes import PROJECT, EngineError

_ALIAS = "live"
BUILT = PROJECT / ".aws-sam" / "build" / "template.yaml"


def switch_on(built: Path) -> None:
    """Rewrites what `sam build` wrote, for one deployment. EngineError: there is no such file."""
    if not built.exists():
        raise EngineError(f"{built} is missing: sam build makes it")
    built.write_text(yaml_dump(_with_snapstart(yaml_parse(built.read_text("utf-8")), uuid.uuid4().hex)), "utf-8")


def _with_snapstart(template: dict[str, Any], release: str) -> dict[str, Any]:
    """SAM names the versions by the release's first ten characters, and says it in each function's description: of a
    function that is as it was, Lambda publishes nothing, and the deployment would fail."""
    kinds = {name: each["Type"] for name, each in template["Resources"].items()}
    functions = {name for name, kind in kinds.items() if kind == "AWS::Serverless::Function"}
    resources = _by_alias(template["Resources"], functions)
    for name in functions:
        resources[name]["Properties"] |= {
            "SnapStart": {"ApplyOn": "PublishedVersions"},
            "AutoPublishAlias": _ALIAS,
            "AutoPublishCodeSha256": release,
            "VersionDeletionPolicy": "Delete",  # a version that is kept is paid for
        }
    return {**template, "Resources": resources}


def _by_alias(node: Any, functions: Collection[str]) -> Any:
    """Whoever has a function's ARN calls it, and a permission is one to call it. SAM sees to its own events, and makes
    the alias under this name."""
    match node:
        case {"Fn::GetAtt": [name, "Arn"]} if name in functions:
            node = {"Ref": f"{name}Alias{_ALIAS}"}
        case {"Type": "AWS::Lambda::Permission", "Properties": {"FunctionName": {"Ref": name}} as given}:
            node = {**node, "Properties": {**given, "FunctionName": {"Ref": f"{name}Alias{_ALIAS}"}}}
        case {"Action": "lambda:InvokeFunction", "Resource": list(arns)}:
            # The functions too: executions that began before SnapStart was on call those, to their end.
            node = {**node, "Resource": [*arns, *_by_alias(arns, functions)]}
        case dict():
            node = {key: _by_alias(value, functions) for key, value in node.items()}
        case list():
            node = [_by_alias(each, functions) for each in node]
        case str():
            node = re.sub(rf"\$\{{({'|'.join(functions)})\.Arn}}", rf"${{\1Alias{_ALIAS}}}", node)
    return node
