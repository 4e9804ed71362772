"""What the template grants, taken apart, and one role at a time with one right less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.template.cloudformation import RESOURCES, as_list, named, of_type

POLICY = "exact"
ROLES = sorted(of_type("AWS::IAM::Role"))


@dataclass(frozen=True)
class Right:
    """The least that can be taken from a statement: one of its actions, one of its resources, or all there is."""

    role: str
    sid: str
    actions: tuple[str, ...]  # the statement without the right has its other actions,
    places: tuple[int, ...]  # on its other resources (by their place in the template)
    resource: str  # what it names, as logical ids

    def __str__(self) -> str:
        return f"{self.role}.{self.sid}: {', '.join(self.actions)} on {self.resource}"


def statements(role: str) -> list[dict[str, Any]]:
    (policy,) = RESOURCES[role]["Properties"]["Policies"]
    assert policy["PolicyName"] == POLICY
    return list(policy["PolicyDocument"]["Statement"])


def rights(role: str) -> list[Right]:
    """Every right of the role, statement by statement."""
    return [right for statement in statements(role) for right in _taken_apart(role, statement)]


def _taken_apart(role: str, statement: dict[str, Any]) -> list[Right]:
    actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
    everywhere = tuple(range(len(resources)))
    names = [_name(resource) for resource in resources]

    def right(*these: str, at: tuple[int, ...]) -> Right:
        return Right(role, statement["Sid"], these, at, ", ".join(names[place] for place in at))

    found = [right(action, at=everywhere) for action in actions] if len(actions) > 1 else []
    found += [right(*actions, at=(place,)) for place in everywhere] if len(resources) > 1 else []
    return found or [right(*actions, at=everywhere)]


def _name(resource: Any) -> str:
    """`OrdersTable`, `OrdersTable.StreamArn`, `${OrdersTable.Arn}/index/due` or `*`."""
    if isinstance(resource, dict) and "Fn::If" in resource:
        return _name(resource["Fn::If"][2])
    if isinstance(resource, dict) and "Fn::Sub" in resource:
        return str(resource["Fn::Sub"]).rpartition("${AWS::AccountId}:")[2].replace(".Arn}", "}")
    if isinstance(resource, dict) and resource.get("Fn::GetAtt", ["", ""])[1] == "StreamArn":
        return f"{named(resource)}.StreamArn"
    return named(resource) or str(resource)


# ---- as deployed ----


class Roles:
    """The roles of a deployed stack, in the deployer's hands."""

    def __init__(self, iam: Any, names: dict[str, str]) -> None:
        self._iam = iam
        self._names = names  # by logical id

    def policy(self, role: str) -> dict[str, Any]:
        found = self._iam.get_role_policy(RoleName=self._names[role], PolicyName=POLICY)["PolicyDocument"]
        document = dict(found if isinstance(found, dict) else json.loads(found))
        assert [each["Sid"] for each in document["Statement"]] == [each["Sid"] for each in statements(role)]
        return document

    @contextmanager
    def without(self, *taken: Right) -> Iterator[None]:
        """As long as this lasts, the role has these rights no more."""
        (role,) = {right.role for right in taken}
        whole = self.policy(role)
        kept = [left(statement, taken) for statement in whole["Statement"]]
        self._put(role, {**whole, "Statement": [statement for statement in kept if statement is not None]})
        try:
            yield
        finally:
            self._put(role, whole)

    @contextmanager
    def assumable(self, role: str) -> Iterator[str]:
        """As long as this lasts, the deployer may take the role itself; answers its ARN."""
        found = self._iam.get_role(RoleName=self._names[role])["Role"]
        trust = found["AssumeRolePolicyDocument"]
        document = trust if isinstance(trust, dict) else json.loads(trust)
        account = found["Arn"].split(":")[4]
        deployer = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "sts:AssumeRole",
        }
        self._trust(role, {**document, "Statement": [*document["Statement"], deployer]})
        try:
            yield str(found["Arn"])
        finally:
            self._trust(role, document)

    def _put(self, role: str, document: dict[str, Any]) -> None:
        policy = {"RoleName": self._names[role], "PolicyName": POLICY}
        if document["Statement"]:
            self._iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))
        else:  # IAM takes no policy without a statement
            self._iam.delete_role_policy(**policy)

    def _trust(self, role: str, document: dict[str, Any]) -> None:
        self._iam.update_assume_role_policy(RoleName=self._names[role], PolicyDocument=json.dumps(document))


def left(statement: dict[str, Any], taken: tuple[Right, ...]) -> dict[str, Any] | None:
    """What is left of a statement; None if that is nothing."""
    actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
    kept_actions, kept_places = list(actions), list(range(len(resources)))
    for right in (each for each in taken if each.sid == statement["Sid"]):
        if len(right.places) == len(resources):
            kept_actions = [action for action in kept_actions if action not in right.actions]
        else:
            kept_places = [place for place in kept_places if place not in right.places]
    if not kept_actions or not kept_places:
        return None
    return {**statement, "Action": kept_actions, "Resource": [resources[place] for place in kept_places]}
