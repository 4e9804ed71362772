"""Every function: one file, one role, one log group, the variables it reads and the layers it imports from."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.template.cloudformation import PROJECT, RESOURCES, TEMPLATE, as_list, named, of_type
from tests.template.reads import FUNCTIONS, packages, variables

_FUNCTIONS = of_type("AWS::Serverless::Function")
_GLOBALS: dict[str, Any] = TEMPLATE["Globals"]["Function"]

#: What AWS itself cannot limit to a resource.
_NO_RESOURCE_LEVEL = {
    "xray:PutTraceSegments": "X-Ray knows no resource for what is put",
    "xray:PutTelemetryRecords": "X-Ray knows no resource for what is put",
    "xray:GetSamplingRules": "X-Ray knows no resource for sampling",
    "xray:GetSamplingTargets": "X-Ray knows no resource for sampling",
    "dynamodb:ListStreams": "lists streams: there is none to name yet",
    "logs:CreateLogDelivery": "log delivery knows no resource",
    "logs:GetLogDelivery": "log delivery knows no resource",
    "logs:UpdateLogDelivery": "log delivery knows no resource",
    "logs:DeleteLogDelivery": "log delivery knows no resource",
    "logs:ListLogDeliveries": "log delivery knows no resource",
    "logs:PutResourcePolicy": "log delivery knows no resource",
    "logs:DescribeResourcePolicies": "log delivery knows no resource",
    "logs:DescribeLogGroups": "log delivery knows no resource",
}
_MACHINE_ONLY = {action for action in _NO_RESOURCE_LEVEL if action.startswith(("logs:", "xray:Get"))}

#: What is made at run time, and so is named by its beginning.
_CHANNELS = "parameter/${AWS::StackName}/channels/*"
_MADE_LATER = {
    "ssm:GetParameter": _CHANNELS,
    "ssm:PutParameter": _CHANNELS,
    "states:DescribeExecution": ":execution:${TradeMachine.Name}:*",
    "execute-api:ManageConnections": "/@connections/*",
}


def _file(name: str) -> str:
    """`PlaceOrderFunction` → `place_order`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Function")).lower()


def _role(name: str) -> str:
    role = named(_FUNCTIONS[name]["Role"])
    assert role is not None
    return role


def _statements(role: str) -> list[dict[str, Any]]:
    policies = RESOURCES[role]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def _on_aws(resource: Any) -> Any:
    """The branch of an `If [Local, …, …]` that a deploy to AWS takes."""
    if isinstance(resource, dict) and "Fn::If" in resource:
        condition, _, otherwise = resource["Fn::If"]
        assert condition == "Local"
        return otherwise
    return resource


def _grants(role: str) -> list[tuple[str, Any]]:
    """(action, resource) of every statement, as deployed to AWS."""
    return [
        (action, _on_aws(resource))
        for statement in _statements(role)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]


def _touches(resource: Any, logical: str) -> bool:
    """Whether it names this resource: by Ref, by GetAtt (but for its stream), or inside a Sub."""
    if isinstance(resource, dict) and resource.get("Fn::GetAtt", ["", ""])[1] == "StreamArn":
        return False
    return named(resource) == logical or f"${{{logical}" in json.dumps(resource)


def _environment(name: str) -> dict[str, Any]:
    return dict(_FUNCTIONS[name].get("Environment", {}).get("Variables", {}))


def test_every_file_is_a_function_and_every_function_a_file() -> None:
    assert {path.stem for path in FUNCTIONS} == {_file(name) for name in _FUNCTIONS}
    assert _GLOBALS["CodeUri"] == "functions/"
    for name, function in _FUNCTIONS.items():
        assert function["Handler"] == f"{_file(name)}.handler"
        assert "CodeUri" not in function, "one artefact: the folder"
        source = (PROJECT / "functions" / f"{_file(name)}.py").read_text(encoding="utf-8")
        assert re.search(r"^(handler = |def handler\()", source, re.MULTILINE), name


def test_every_function_has_a_role_of_its_own() -> None:
    roles = [_role(name) for name in _FUNCTIONS]
    assert len(set(roles)) == len(roles)
    for name in _FUNCTIONS:
        assert "Policies" not in _FUNCTIONS[name], "the role is all there is"
        role = RESOURCES[_role(name)]
        assert role["Type"] == "AWS::IAM::Role"
        assert "ManagedPolicyArns" not in role["Properties"]
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_lambda_logs_no_line_of_its_own_of_a_call_that_went_well() -> None:
    assert TEMPLATE["Globals"]["Function"]["LoggingConfig"] == {
        "LogFormat": "JSON",
        "SystemLogLevel": {"Ref": "SystemLogLevel"},
    }
    assert TEMPLATE["Parameters"]["SystemLogLevel"]["Default"] == "WARN"
    for name, function in _FUNCTIONS.items():
        assert function["LoggingConfig"].keys() == {"LogGroup"}, f"{name} has the rest from Globals"


def test_every_function_has_a_log_group_of_its_own_that_forgets() -> None:
    groups = [named(function["LoggingConfig"]["LogGroup"]) for function in _FUNCTIONS.values()]
    assert len(set(groups)) == len(groups)
    for name, function in _FUNCTIONS.items():
        group = named(function["LoggingConfig"]["LogGroup"])
        assert group is not None
        assert RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"
        assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        written = [resource for action, resource in _grants(_role(name)) if action.startswith("logs:")]
        assert written
        assert {named(resource) for resource in written} == {group}, f"{name} writes to its own log group only"


@pytest.mark.parametrize("role", sorted(of_type("AWS::IAM::Role")))
def test_a_role_names_its_actions_and_its_resources(role: str) -> None:
    of_machine = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "states.amazonaws.com"
    }
    for statement in _statements(role):
        assert statement["Effect"] == "Allow"
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    for action, resource in _grants(role):
        assert re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action), f"{action} is no single action"
        if resource == "*":
            assert action in _NO_RESOURCE_LEVEL, f"{action} on everything"
            assert of_machine or action not in _MACHINE_ONLY, f"{action} is the machine's"
        elif "*" in json.dumps(resource):
            assert action in _MADE_LATER, f"{action} on {resource}"
            assert resource["Fn::Sub"].endswith(_MADE_LATER[action])
            assert resource["Fn::Sub"].count("*") == 1


_SUCCEED, _FAIL = "states:SendTaskSuccess", "states:SendTaskFailure"

#: Who wakes the machine, and how.
_WAKES = {
    "ConfirmPaymentFunction": {_SUCCEED, _FAIL},
    "ConfirmByHandFunction": {_SUCCEED},
    "RefundPaymentFunction": {_SUCCEED},
    "CancelOrderFunction": {_FAIL},
    "ConfirmReceiptFunction": {_SUCCEED},
    "ImportCardsFunction": {_SUCCEED},
    "ManageBatchesFunction": {_SUCCEED},
    "ReconcileFunction": {_SUCCEED, _FAIL},
}


def test_only_the_local_target_may_wake_any_task() -> None:
    """The local engine does not know which machine a token is of."""
    everything: dict[str, set[str]] = {}
    for role in of_type("AWS::IAM::Role"):
        for statement in _statements(role):
            resources = as_list(statement["Resource"])
            if any(isinstance(each, dict) and "*" in as_list(each.get("Fn::If", [])) for each in resources):
                everything.setdefault(role, set()).update(as_list(statement["Action"]))
    assert everything == {_role(name): actions for name, actions in _WAKES.items()}


@pytest.mark.parametrize("name", sorted(_FUNCTIONS))
def test_who_wakes_the_machine_may_wake_this_one_and_nobody_else_may(name: str) -> None:
    wakes = {(action, named(resource)) for action, resource in _grants(_role(name)) if action in (_SUCCEED, _FAIL)}
    assert wakes == {(action, "TradeMachine") for action in _WAKES.get(name, ())}


#: Who takes a trade over if nothing waits any more: an execution is started, if none that there is runs.
_TAKES_OVER = {
    "ConfirmPaymentFunction",
    "ConfirmByHandFunction",
    "CancelOrderFunction",
    "ImportCardsFunction",
    "ManageBatchesFunction",
    "ReconcileFunction",
}


@pytest.mark.parametrize("name", sorted(_FUNCTIONS))
def test_who_takes_a_trade_over_may_start_it_and_look_whether_it_runs(name: str) -> None:
    states = {action for action, _ in _grants(_role(name)) if action.startswith("states:")} - {_SUCCEED, _FAIL}
    expected = {"states:StartExecution", "states:DescribeExecution"} if name in _TAKES_OVER else set()
    if name == "StartTradeFunction":
        expected = {"states:StartExecution"}
    if name == "ReconcileFunction":
        expected |= {"states:ListExecutions"}
    assert states == expected


#: What may be done to a table's items, and by whom alone; an action that is not named is nobody's.
_WRITES = {
    "OrdersTable": {
        "PutItem": {"PlaceOrder"},
        "UpdateItem": {
            "PlaceOrder",
            "PayOrder",
            "CancelOrder",
            "ConfirmReceipt",
            "RevealCards",
            "ConfirmPayment",
            "ConfirmByHand",
            "RefundPayment",
            "Reconcile",
            "DeliverCards",
            "CloseTrade",
            "CompleteTrade",
            "ImportCards",
            "ManageBatches",
            "TradeMachine",
        },
    },
    "StockTable": {
        "DeleteItem": {
            "PlaceOrder",
            "ConfirmPayment",
            "ConfirmByHand",
            "Reconcile",
            "CloseTrade",
            "ImportCards",
            "ManageBatches",
        },
        "PutItem": {
            "ConfirmPayment",
            "ConfirmByHand",
            "RefundPayment",
            "Reconcile",
            "CloseTrade",
            "ImportCards",
            "DeliverCards",
        },
    },
    "TimelineTable": {"PutItem": {"RecordEvents", "ConfirmPayment", "ConfirmByHand", "RefundPayment"}},
    "CatalogueTable": {
        "PutItem": {"ImportCards", "ManageCatalogue"},
        "UpdateItem": {"ManageCatalogue", "ManageChannels", "ImportCards", "ManageBatches", "CountStock", "AuditStock"},
        "DeleteItem": {"ImportCards"},
    },
    "HoldingsTable": {"PutItem": {"RecordEvents", "AuditStock"}},
    "ConnectionsTable": {
        "PutItem": {"IssueTicket", "ConnectTerminal"},
        "DeleteItem": {"ConnectTerminal", "PushChanges"},
    },
    "AttemptsTable": {"PutItem": {"LookupOrder", "HandOffOrder"}, "DeleteItem": {"LookupOrder", "HandOffOrder"}},
}


@pytest.mark.parametrize("table", sorted(_WRITES))
def test_only_those_write_to_a_table_whose_use_case_does(table: str) -> None:
    """No order is ever deleted, no entry of a story changed, and a card leaves its pool only for an order."""
    writing: dict[str, set[str]] = {}
    for role in of_type("AWS::IAM::Role"):
        for action, resource in _grants(role):
            service, _, verb = action.partition(":")
            if service == "dynamodb" and "Get" not in verb and verb != "Query" and _touches(resource, table):
                writing.setdefault(verb, set()).add(role.removesuffix("Role"))
    assert writing == _WRITES[table]


def test_only_who_looks_orders_up_or_hands_them_over_counts_the_tries_at_it() -> None:
    touching = {
        role for role in of_type("AWS::IAM::Role") for _, each in _grants(role) if _touches(each, "AttemptsTable")
    }
    assert touching == {_role("LookupOrderFunction"), _role("HandOffOrderFunction")}


def _kinds(role: str, table: str) -> set[str]:
    """The partitions of a table to which the role's every statement about it is limited; "*" if one is not."""
    kinds: set[str] = set()
    for statement in _statements(role):
        if any(_touches(resource, table) for resource in as_list(statement["Resource"])):
            condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
            kinds |= set(condition.get("dynamodb:LeadingKeys", ["*"]))
    return kinds


def test_who_hands_orders_over_reaches_no_tries_at_passwords() -> None:
    assert _kinds(_role("HandOffOrderFunction"), "AttemptsTable") == {"HANDOFF#*", "GUESSES#*"}


def test_who_serves_everybody_cannot_read_an_account_and_who_saves_accounts_no_product() -> None:
    assert _kinds(_role("BrowseProductsFunction"), "CatalogueTable") == {"PRODUCT", "DESCRIPTION", "OFFER"}
    assert _kinds(_role("ManageChannelsFunction"), "CatalogueTable") == {"CHANNEL", "OFFER"}
    assert _kinds(_role("ManageCatalogueFunction"), "CatalogueTable") == {"PRODUCT", "DESCRIPTION"}
    assert _kinds(_role("PlaceOrderFunction"), "CatalogueTable") == {"*"}, "the check can fail"


@pytest.mark.parametrize(
    ("index", "functions"),
    [
        ("due", {"ReconcileFunction", "InspectTradesFunction"}),
        ("awaiting-stock", {"ImportCardsFunction", "ManageBatchesFunction", "ReconcileFunction"}),
        ("holds-by-address", {"PlaceOrderFunction"}),
        ("holds-by-device", {"PlaceOrderFunction"}),
        ("holds-by-contact", {"PlaceOrderFunction"}),
    ],
)
def test_an_index_is_read_by_those_who_look_for_orders_and_the_table_by_its_key(
    index: str, functions: set[str]
) -> None:
    queries = {
        name: [resource for action, resource in _grants(_role(name)) if action == "dynamodb:Query"]
        for name in _FUNCTIONS
    }
    asked = {"Fn::Sub": f"${{OrdersTable.Arn}}/index/{index}"}
    assert {name for name, resources in queries.items() if asked in resources} == functions
    assert not any({"Fn::GetAtt": ["OrdersTable", "Arn"]} in resources for resources in queries.values())


@pytest.mark.parametrize("name", sorted(_FUNCTIONS))
def test_only_reveal_may_open_a_card_and_only_import_may_seal_one(name: str) -> None:
    grants = _grants(_role(name))
    on_key = {action for action, resource in grants if _touches(resource, "SealingKey")}
    on_table = {action for action, resource in grants if _touches(resource, "SealedTable")}
    expected: dict[str, tuple[set[str], set[str]]] = {
        "RevealCardsFunction": ({"kms:Decrypt"}, {"dynamodb:BatchGetItem"}),
        "ImportCardsFunction": (
            {"kms:GenerateDataKey"},
            {"dynamodb:PutItem", "dynamodb:BatchGetItem", "dynamodb:DeleteItem"},
        ),
    }
    assert (on_key, on_table) == expected.get(name, (set(), set()))
    assert ("SEALED_TABLE" in _environment(name)) == (name in expected)


def test_what_is_sealed_is_never_deleted_but_for_a_key_that_sealed_nothing() -> None:
    deleting = [
        statement
        for role in of_type("AWS::IAM::Role")
        for statement in _statements(role)
        if "dynamodb:DeleteItem" in as_list(statement["Action"])
        if any(_touches(resource, "SealedTable") for resource in as_list(statement["Resource"]))
    ]
    (statement,) = deleting
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["KEY#*"]}}


def test_the_checks_of_sealed_things_can_fail() -> None:
    assert _touches({"Fn::GetAtt": ["SealedTable", "Arn"]}, "SealedTable")
    assert _touches({"Fn::Sub": "${SealedTable.Arn}/index/x"}, "SealedTable")
    assert _touches({"Ref": "SealedTable"}, "SealedTable")
    assert not _touches({"Fn::GetAtt": ["OrdersTable", "Arn"]}, "SealedTable")
    assert not _touches({"Fn::GetAtt": ["OrdersTable", "StreamArn"]}, "OrdersTable")


@pytest.mark.parametrize("name", sorted(_FUNCTIONS))
def test_a_function_is_given_what_it_reads_and_nothing_else(name: str) -> None:
    """Variables that its code reads, and the name of each table that its role may touch."""
    given = _environment(name)
    tables = {
        f"{table.removesuffix('Table').upper()}_TABLE": table
        for table in of_type("AWS::DynamoDB::Table")
        if any(_touches(resource, table) for _, resource in _grants(_role(name)))
    }
    read = variables(PROJECT / "functions" / f"{_file(name)}.py") - _GLOBALS["Environment"]["Variables"].keys()
    assert given.keys() == read | tables.keys()
    for variable, table in tables.items():
        assert named(given[variable]) == table


@pytest.mark.parametrize("name", sorted(_FUNCTIONS))
def test_a_function_has_the_layers_that_it_imports_from(name: str) -> None:
    layers = [named(layer) for layer in [*_GLOBALS["Layers"], *_FUNCTIONS[name].get("Layers", [])]]
    assert len(set(layers)) == len(layers) <= 5, "Lambda takes five"
    imported = packages(PROJECT / "functions" / f"{_file(name)}.py")
    assert {"DependenciesLayer", "CardshopLayer"} <= set(layers)
    assert ("CryptographyLayer" in layers) == ("cryptography" in imported)
    if "ValidationLayer" in RESOURCES:
        assert ("ValidationLayer" in layers) == ("pydantic" in imported)
