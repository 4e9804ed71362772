"""Each right of each role is taken away in turn, and a flow of its function fails: nothing is granted that none needs.

Rights are taken one action, and one resource, at a time: the whole statement goes with the last of them. Those that
the local engine does not ask about are taken together, and nothing fails: they are listed, with what AWS says.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.iam.flows import FLOWS, Flow, a_provider_numbers_the_payment
from tests.iam.roles import ROLES, Right, rights, statements
from tests.iam.shop import Shop
from tests.iam.unenforced import reason


@dataclass
class Table:
    """What was found of every right."""

    shown: dict[Right, str] = field(default_factory=dict)
    unenforced: dict[Right, str] = field(default_factory=dict)
    unneeded: list[Right] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = ["", f"{'role and statement':<52} {'right':<62} verdict"]
        for role in ROLES:
            for right in rights(role):
                what = f"{', '.join(right.actions)} on {right.resource}"
                lines.append(_line(role, right.sid, what, self._verdict(right)))
        lines += [_line(role, sid, condition, _CONDITION) for role, sid, condition in _conditions()]
        shown = {(right.role, right.sid) for right in self.shown}
        unenforced = {(right.role, right.sid) for right in self.unenforced} - shown
        lines += [
            "",
            f"{len(ROLES)} roles, {sum(len(statements(role)) for role in ROLES)} statements: "
            f"{len(shown)} needed (shown), {len(unenforced)} not enforced by the local engine",
            f"{sum(len(rights(role)) for role in ROLES)} rights: {len(self.shown)} needed (shown), "
            f"{len(self.unenforced)} not enforced, {len(self.unneeded)} needed by no flow; {self.seconds:.0f} s",
        ]
        return "\n".join(lines)

    def _verdict(self, right: Right) -> str:
        if right in self.shown:
            return f"needed (shown): {self.shown[right]}"
        if right in self.unenforced:
            return f"not enforced by the local engine: {self.unenforced[right]}"
        return "NEEDED BY NO FLOW" if right in self.unneeded else "not tried"


def _line(role: str, sid: str, what: str, verdict: str) -> str:
    return f"{role.removesuffix('Role') + '.' + sid:<52} {what:<62} {verdict}"


_CONDITION = (
    "not enforced by the local engine: DynamoDB compares the request's keys and attributes "
    "(DynamoDB: Using IAM policy conditions for fine-grained access control)"
)


def _conditions() -> list[tuple[str, str, str]]:
    found = [(role, each) for role in ROLES for each in statements(role) if "Condition" in each]
    return [(role, each["Sid"], f"condition on {', '.join(_keys(each['Condition']))}") for role, each in found]


def _keys(condition: dict[str, dict[str, Any]]) -> list[str]:
    return [key for compared in condition.values() for key in compared]


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    table, began = Table(), time.monotonic()
    yield table
    table.seconds = time.monotonic() - began
    print(table)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_grants_what_its_flows_need_and_no_more(least: Shop, table: Table, role: str) -> None:
    function = role.removesuffix("Role") + "Function"
    flows = FLOWS[function]
    for each in flows:
        _run(least, each)
    free = {right: why for right in rights(role) if (why := reason(right)) is not None}
    with least.roles.without(*free):
        least.cold(function)
        for each in flows:
            _run(least, each)
    table.unenforced |= free
    for right in rights(role):
        if right not in free:
            how = next((how for each in flows if (how := _without(least, function, each, right))), None)
            if how is None:
                table.unneeded.append(right)
            else:
                table.shown[right] = how
    for each in flows:
        _run(least, each)  # all of it is granted again
    assert not [right for right in table.unneeded if right.role == role]


def test_a_flow_that_does_not_use_a_right_passes_without_it(least: Shop) -> None:
    """So a right too many is found."""
    (unused,) = [right for right in rights("PlaceOrderRole") if right.sid == "ReadOrder"]
    (used,) = [right for right in rights("PlaceOrderRole") if right.sid == "PlaceOrder"]
    assert _without(least, "PlaceOrderFunction", a_provider_numbers_the_payment, unused) is None
    assert _without(least, "PlaceOrderFunction", a_provider_numbers_the_payment, used)


def _run(shop: Shop, flow: Flow) -> None:
    for _ in flow(shop):
        pass


def _without(shop: Shop, function: str, flow: Flow, right: Right) -> str | None:
    """How the flow fails without this right; None if it does not.

    What the function's log says of it settles it. A function may keep silent about what it was refused and does
    without: then the flow must pass once more with the right, and fail once more without.
    """
    failed, log = _tried(shop, function, flow, right)
    if not failed:
        return None
    name = flow.__name__.replace("_", " ")
    if any(f"not authorized to perform: {action}" in log for action in right.actions):
        return f"{name}: refused"
    _run(shop, flow)
    failed, _ = _tried(shop, function, flow, right)
    return f"{name}: fails twice without, passes with it" if failed else None


def _tried(shop: Shop, function: str, flow: Flow, right: Right) -> tuple[bool, str]:
    """(whether the flow failed, what the function wrote): made ready with every right, and then without this one."""
    run = flow(shop)
    next(run)
    with shop.roles.without(right):
        shop.cold(function)
        since, failed = time.time(), False
        try:
            next(run, None)
        except AssertionError:
            failed = True
        finally:
            run.close()
        return failed, shop.log(function, since) if failed else ""
