"""The API: one stage, bytes as they came, and the gateway's own refusals in the shop's own form."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from cardshop.domain import errors

from tests.template.cloudformation import TEMPLATE, named, of_type

(_API,) = of_type("AWS::Serverless::Api").values()
_RESPONSES: dict[str, dict[str, Any]] = _API["GatewayResponses"]
_SHOP_ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ShopError)]

#: AWS's names for the gateway's own answers.
_KINDS = {
    "ACCESS_DENIED",
    "API_CONFIGURATION_ERROR",
    "AUTHORIZER_CONFIGURATION_ERROR",
    "AUTHORIZER_FAILURE",
    "BAD_REQUEST_BODY",
    "BAD_REQUEST_PARAMETERS",
    "DEFAULT_4XX",
    "DEFAULT_5XX",
    "EXPIRED_TOKEN",
    "INTEGRATION_FAILURE",
    "INTEGRATION_TIMEOUT",
    "INVALID_API_KEY",
    "INVALID_SIGNATURE",
    "MISSING_AUTHENTICATION_TOKEN",
    "QUOTA_EXCEEDED",
    "REQUEST_TOO_LARGE",
    "RESOURCE_NOT_FOUND",
    "THROTTLED",
    "UNAUTHORIZED",
    "UNSUPPORTED_MEDIA_TYPE",
    "WAF_FILTERED",
}


def _body(kind: str) -> dict[str, Any]:
    """As a caller gets it: `messageString` is already a JSON string, quotes and all; any other is bare text."""
    templates = _RESPONSES[kind]["ResponseTemplates"]
    assert list(templates) == ["application/json"], "the template for callers that ask for nothing else"
    text = templates["application/json"]
    text = re.sub(r"\$context\.error\.messageString\b", '"said \\"so\\""', text)
    return dict(json.loads(re.sub(r"\$context\.[\w.]+", "text", text)))


def test_the_gateway_has_an_answer_for_everything() -> None:
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= _RESPONSES.keys() <= _KINDS


@pytest.mark.parametrize("kind", sorted(_RESPONSES))
def test_a_refusal_of_the_gateway_is_a_problem(kind: str) -> None:
    response, body = _RESPONSES[kind], _body(kind)
    headers = response["ResponseParameters"]["Headers"]
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["Cache-Control"] == "'no-store'"
    assert body.keys() == {"type", "title", "status", "code", "detail"}
    assert body["status"] == response["StatusCode"]
    assert body["type"] == "about:blank"
    assert all(isinstance(body[name], str) and body[name] for name in ("title", "code", "detail"))
    if body["status"] in (429, 503, 504):
        assert int(headers["Retry-After"].strip("'")) >= 1
    else:
        assert "Retry-After" not in headers


@pytest.mark.parametrize("kind", sorted(_RESPONSES))
def test_a_code_of_the_shops_means_the_same_from_the_gateway(kind: str) -> None:
    body = _body(kind)
    assert kind not in ("DEFAULT_4XX", "DEFAULT_5XX") or body["status"] in (400, 500)
    for error in _SHOP_ERRORS:
        if error.code == body["code"]:
            if body["status"] < 500:
                assert error.status == body["status"]
            assert error.status // 100 == body["status"] // 100


def test_one_stage_and_every_body_as_bytes() -> None:
    assert _API["StageName"] == "api"
    assert [each.replace("~1", "/") for each in _API["BinaryMediaTypes"]] == ["*/*"]


def test_every_route_is_on_this_api_and_once() -> None:
    routes = [
        (event["Properties"]["Method"], event["Properties"]["Path"], named(event["Properties"]["RestApiId"]))
        for function in of_type("AWS::Serverless::Function").values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    ]
    assert len(routes) == len(set(routes))
    assert {api for _, _, api in routes} == {"Api"}
    assert all(method in {"get", "put", "post", "delete", "patch"} for method, _, _ in routes), "each verb by its name"
    assert all(not path.startswith("/api") for _, path, _ in routes), "the stage is the prefix"


def test_a_buyer_has_half_an_hour_to_pay() -> None:
    window = TEMPLATE["Parameters"]["PaymentWindowSeconds"]
    assert window["Type"] == "Number"
    assert window["Default"] >= 1800
