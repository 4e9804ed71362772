"""The WebSocket API: one stage, three routes, and nobody but the one who pushes may speak to its connections."""

from __future__ import annotations

import json

from cardshop.domain.connection import CONNECTION_MS, TICKET_MS

from tests.template.cloudformation import RESOURCES, TEMPLATE, named, of_type, on_aws
from tests.template.test_functions import _grants

(_API,) = of_type("AWS::ApiGatewayV2::Api").values()
_ROUTES = {each["RouteKey"]: each for each in of_type("AWS::ApiGatewayV2::Route").values()}
_INTEGRATIONS = of_type("AWS::ApiGatewayV2::Integration")


def _integration(route: str) -> dict[str, object]:
    target = _ROUTES[route]["Target"]["Fn::Sub"]
    return dict(_INTEGRATIONS[target.removeprefix("integrations/${").removesuffix("}")])


def test_coming_and_leaving_are_the_functions_and_messages_are_nobodys() -> None:
    assert _API["ProtocolType"] == "WEBSOCKET"
    assert _ROUTES.keys() == {"$connect", "$disconnect", "$default"}
    for route in ("$connect", "$disconnect"):
        integration = _integration(route)
        assert integration["IntegrationType"] == "AWS_PROXY"
        assert "${ConnectTerminalFunction.Arn}" in json.dumps(integration["IntegrationUri"])
    assert _integration("$default")["IntegrationType"] == "MOCK"
    assert "RouteResponseSelectionExpression" not in _ROUTES["$default"], "nothing is answered"
    for each in (*_ROUTES.values(), *_INTEGRATIONS.values(), *of_type("AWS::ApiGatewayV2::Stage").values()):
        assert named(each["ApiId"]) == "PushApi"


def test_the_stage_is_the_path_and_is_throttled() -> None:
    (stage,) = of_type("AWS::ApiGatewayV2::Stage").values()
    assert (stage["StageName"], stage["AutoDeploy"]) == ("ws", True)
    settings = stage["DefaultRouteSettings"]
    assert 0 < settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"]
    assert "LoggingLevel" not in settings, "a ticket is in the address that it would write down"
    assert "AccessLogSettings" not in stage


def test_only_this_gateway_may_call_the_function() -> None:
    permissions = [
        each
        for each in of_type("AWS::Lambda::Permission").values()
        if named(each["FunctionName"]) == "ConnectTerminalFunction"
    ]
    (permission,) = permissions
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${PushApi}/ws/*")


def test_only_who_pushes_may_speak_to_connections_and_only_to_those_of_this_stage() -> None:
    granted = {
        (role, resource["Fn::Sub"].rpartition("${AWS::AccountId}:")[2])
        for role in of_type("AWS::IAM::Role")
        for action, resource in _grants(role)
        if action.startswith("execute-api:")
    }
    assert granted == {
        ("PushChangesRole", "${PushApi}/ws/POST/@connections/*"),
        ("PushChangesRole", "${PushApi}/ws/DELETE/@connections/*"),
    }


def test_who_pushes_knows_the_gateway_and_the_pages_learn_its_address() -> None:
    pushed = RESOURCES["PushChangesFunction"]["Properties"]["Environment"]["Variables"]["PUSH_URL"]
    told = TEMPLATE["Outputs"]["PushUrl"]["Value"]
    assert on_aws(pushed)["Fn::Sub"].removeprefix("https://") == on_aws(told)["Fn::Sub"].removeprefix("wss://")
    assert on_aws(pushed)["Fn::Sub"].endswith("/ws")


def test_the_orders_stream_has_its_two_readers_and_one_that_hangs_holds_back_its_own_lane() -> None:
    readers = {
        name: event["Properties"]
        for name, function in of_type("AWS::Serverless::Function").items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "DynamoDB" and event["Properties"]["Stream"] == {"Fn::GetAtt": ["OrdersTable", "StreamArn"]}
    }
    assert readers.keys() == {"RecordEventsFunction", "PushChangesFunction"}
    assert readers["PushChangesFunction"]["ParallelizationFactor"] > 1


def test_a_place_ends_when_aws_ends_the_connection_and_a_ticket_within_a_minute() -> None:
    assert CONNECTION_MS <= 2 * 3_600_000
    assert TICKET_MS <= 60_000


def test_there_are_caps_and_a_deploy_may_set_them() -> None:
    assert TEMPLATE["Parameters"]["ConnectionsPerOrder"]["Default"] == 20
    assert TEMPLATE["Parameters"]["ConnectionsPerAddress"]["Default"] == 100
    for name in ("IssueTicketFunction", "ConnectTerminalFunction"):
        given = RESOURCES[name]["Properties"]["Environment"]["Variables"]
        assert named(given["CONNECTIONS_PER_ORDER"]) == "ConnectionsPerOrder"
        assert named(given["CONNECTIONS_PER_ADDRESS"]) == "ConnectionsPerAddress"
