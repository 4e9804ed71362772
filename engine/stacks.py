"""A deployed stack, as an operator's commands see it: with their own rights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from engine import deploy
from engine.processes import EngineError, Home


@dataclass(frozen=True)
class Stack:
    name: str
    client: Callable[[str], Any]  # an AWS service → a client of it

    def of(self, resource: str) -> str:
        """What a resource of `template.yaml` is called in this stack."""
        asked = {"StackName": self.name, "LogicalResourceId": resource}
        found = self.client("cloudformation").describe_stack_resource(**asked)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def outputs(self) -> dict[str, str]:
        (described,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


@contextmanager
def opened(home: Home | None, name: str) -> Iterator[Stack]:
    """On the local engine if that is up and no AWS profile or endpoint was chosen; else, or without a home, on AWS.

    EngineError: what AWS refused or did not answer.
    """
    chosen = any(os.environ.get(each) for each in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"))
    here = home if home and not chosen and (home.path / "engine.pid").exists() else None
    try:
        yield Stack(name, partial(deploy.aws, here) if here else boto3.client)  # type: ignore[arg-type]
    except (BotoCoreError, ClientError) as error:
        raise EngineError(f"the stack {name}: {error}") from error
