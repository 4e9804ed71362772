"""Where the figures are taken: a local engine and a simulated provider of the run's own, and the stacks on it.

Nothing runs there on its own: the stacks' schedules are off.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.proxy import Proxy
from engine import deploy, processes, shop
from engine.processes import PROJECT, REGION, Home
from tests.house import House

#: Short enough for a run, long enough for what is done within them on a slow day. Everything else is the template's.
COUNTED_PARAMETERS = {"PaymentWindowSeconds": "30", "AfterSaleSeconds": "4"}
FLOOR, PUSHING_FLOOR = "floor", "floor-push"
_FLOOR_TEMPLATE = Path(__file__).parent / "floor" / "template.yaml"

Say = Callable[[str], None]


class Stage:
    def __init__(self, say: Say) -> None:
        self.say = say
        self.home = Home(PROJECT / ".local" / f"bench-{os.getpid()}")

    def __enter__(self) -> Stage:
        self.say("starting an engine and a provider of the run's own")
        pid, key = shop.merchant(self.home)
        processes.start(self.home, {pid: key}, provider_time_scale=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "counted" in self.__dict__:
            self.counted[1].close()
        processes.stop(self.home)
        if error is None:
            shutil.rmtree(self.home.path)

    @cached_property
    def house(self) -> House:
        """The shop as `make up` deploys it: no caps on one address."""
        return self.deployed("shop", shop.LOCAL_PARAMETERS)

    @cached_property
    def counted(self) -> tuple[House, Proxy]:
        """A shop whose functions reach AWS through a counting proxy."""
        house = self.deployed("counted", COUNTED_PARAMETERS)
        return house, watched(house)

    @cached_property
    def floor(self) -> dict[str, str]:
        """The outputs of the chain stripped to its bare calls."""
        return self._floor(FLOOR, pushes=False)

    @cached_property
    def pushing_floor(self) -> dict[str, str]:
        """The outputs of another one, with a bare push behind it."""
        return self._floor(PUSHING_FLOOR, pushes=True)

    def deployed(self, stack: str, parameters: dict[str, str]) -> House:
        self.say(f"deploying the stack {stack}")
        outputs = deploy.deploy(self.home, stack, parameters)
        house = House(self.home, stack, outputs, shop.merchant(self.home))
        for rule in resources(house.home, house.stack, "AWS::Events::Rule").values():
            house.aws("events").disable_rule(Name=rule)
        return house

    def _floor(self, stack: str, *, pushes: bool) -> dict[str, str]:
        self.say(f"deploying the stack {stack}")
        deploy._sam(
            [
                *("deploy", "--config-file", str(PROJECT / "samconfig.toml"), "--config-env", "local"),
                *("--template-file", str(_FLOOR_TEMPLATE), "--stack-name", stack, "--region", REGION),
                *("--parameter-overrides", f"LocalEndpoint={self.home.endpoint}", f"Pushes={str(pushes).lower()}"),
            ],
            self.home.aws_env,
            self.home.path / f"sam-deploy-{stack}.log",
        )
        return deploy.outputs(self.home, stack)


def resources(home: Home, stack: str, kind: str) -> dict[str, str]:
    """Physical names by logical ones, of this kind (`AWS::Lambda::Function`)."""
    pages = deploy.aws(home, "cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    summaries = [each for page in pages for each in page["StackResourceSummaries"] if each["ResourceType"] == kind]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in summaries}


def function_name(logical: str) -> str:
    """`PlaceOrderFunction` → `place_order`."""
    words = "".join(f"_{each.lower()}" if each.isupper() else each for each in logical.removesuffix("Function"))
    return words.strip("_")


def watched(house: House) -> Proxy:
    """From now on this shop's functions reach AWS through the proxy, each by a door of its own."""
    proxy = Proxy(house.home.endpoint)
    functions = house.aws("lambda")
    for logical, physical in resources(house.home, house.stack, "AWS::Lambda::Function").items():
        deployed = functions.get_function_configuration(FunctionName=physical)
        watched = {**variables(deployed), "AWS_ENDPOINT_URL": proxy.door(function_name(logical))}
        functions.update_function_configuration(FunctionName=physical, Environment={"Variables": watched})
    return proxy


def variables(deployed: dict[str, Any]) -> dict[str, str]:
    """A function's environment. The engine takes some texts of the template for numbers."""
    return {name: str(value) for name, value in deployed["Environment"]["Variables"].items()}
