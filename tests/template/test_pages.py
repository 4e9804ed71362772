"""The pages' distribution: one origin for pages, API and push, strict to browsers, and believed only by its secret."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.template.cloudformation import RESOURCES, TEMPLATE, named, of_type, on_aws

(_DISTRIBUTION,) = (each["DistributionConfig"] for each in of_type("AWS::CloudFront::Distribution").values())
_ORIGINS = {each["Id"]: each for each in map(on_aws, _DISTRIBUTION["Origins"])}
_BEHAVIORS = {each["PathPattern"]: each for each in map(on_aws, _DISTRIBUTION["CacheBehaviors"])}
_DEFAULT = _DISTRIBUTION["DefaultCacheBehavior"]
_API = of_type("AWS::Serverless::Api")["Api"]


def _config(kind: str, name: str | None) -> dict[str, Any]:
    """The one property of a policy, by its logical id."""
    (config,) = of_type(f"AWS::CloudFront::{kind}")[str(name)].values()
    return dict(config)


def test_pages_api_and_push_are_one_origin() -> None:
    """CloudFront strips no prefix: the stages are called as the paths are."""
    assert _DEFAULT["TargetOriginId"] == "pages"
    assert {path: each["TargetOriginId"] for path, each in _BEHAVIORS.items()} == {"/api/*": "api", "/ws": "push"}
    assert {"api", "ws"} == {_API["StageName"], of_type("AWS::ApiGatewayV2::Stage")["PushStage"]["StageName"]}
    for name in ("api", "push"):
        assert not on_aws(_ORIGINS[name].get("OriginPath", ""))
        assert on_aws(_ORIGINS[name]["CustomOriginConfig"]["OriginProtocolPolicy"]) == "https-only"


def test_nothing_is_sent_in_the_clear() -> None:
    """A request that has shown its token to everybody on the way is refused rather than redirected."""
    assert on_aws(_DEFAULT["ViewerProtocolPolicy"]) == "redirect-to-https"
    assert {on_aws(each["ViewerProtocolPolicy"]) for each in _BEHAVIORS.values()} == {"https-only"}


def test_the_api_gets_what_it_reads_and_a_holders_answer_is_only_the_holders() -> None:
    api = _BEHAVIORS["/api/*"]
    assert set(api["AllowedMethods"]) >= {"GET", "PUT", "POST"}
    caching = _config("CachePolicy", named(api["CachePolicyId"]))
    assert (caching["MinTTL"], caching["DefaultTTL"]) == (0, 0), "nothing is kept that does not say so"
    key = caching["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["HeadersConfig"] == {"HeaderBehavior": "whitelist", "Headers": ["Authorization"]}
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
    forwarding = _config("OriginRequestPolicy", named(api["OriginRequestPolicyId"]))["HeadersConfig"]
    assert set(forwarding["Headers"]) == {
        "CloudFront-Viewer-Address",
        "Content-Type",
        "Idempotency-Key",
        "If-None-Match",
    }
    assert "Host" not in forwarding["Headers"], "the gateway knows itself by its own name only"


def test_an_error_is_of_its_moment() -> None:
    kept = {each["ErrorCode"]: each["ErrorCachingMinTTL"] for each in _DISTRIBUTION["CustomErrorResponses"]}
    assert kept == dict.fromkeys((500, 502, 503, 504), 0)


def test_only_the_distribution_and_the_functions_know_its_secret() -> None:
    (header,) = _ORIGINS["api"]["OriginCustomHeaders"]
    secret = {"Fn::Sub": "{{resolve:secretsmanager:${EdgeSecret}:SecretString:::${EdgeSecretVersion}}}"}
    assert (header["HeaderName"], header["HeaderValue"]) == ("Cardshop-Edge", secret)
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["EDGE_SECRET"] == secret
    assert json.dumps(TEMPLATE).count("EdgeSecret}") == 2
    assert "OriginCustomHeaders" not in _ORIGINS["push"]
    assert RESOURCES["EdgeSecret"]["Properties"]["GenerateSecretString"]["PasswordLength"] >= 32


def test_only_the_distribution_reads_the_bucket() -> None:
    bucket = of_type("AWS::S3::Bucket")["PagesBucket"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    for statement in of_type("AWS::S3::BucketPolicy")["PagesBucketPolicy"]["PolicyDocument"]["Statement"]:
        assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        assert statement["Action"] in {"s3:GetObject", "s3:ListBucket"}
        arn = statement["Condition"]["StringEquals"]["AWS:SourceArn"]["Fn::Sub"]
        assert arn.endswith(":distribution/${Pages}")
    assert named(_ORIGINS["pages"]["OriginAccessControlId"]) == "PagesAccess"


@pytest.mark.parametrize(
    ("path", "becomes"),
    [
        ("/", "/index.html"),
        ("/orders/m5qk7c2xj3zv6n4wtyb2hdgl5e", "/index.html"),
        ("/products/steam.50", "/index.html"),
        ("/assets", "/index.html"),
        ("/index.html", "/index.html"),
        ("/sw.js", "/sw.js"),
        ("/config.json", "/config.json"),
        ("/assets/index-B1.js", "/assets/index-B1.js"),
        ("/icons/mark.svg", "/icons/mark.svg"),
    ],
)
def test_what_is_no_file_is_a_path_of_the_pages_own(path: str, becomes: str) -> None:
    code = of_type("AWS::CloudFront::Function")["PagesRouting"]["FunctionCode"]
    (pattern,) = re.findall(r"if \(!/(.+)/\.test\(request\.uri\)\) request\.uri = \"/index\.html\"", code)
    assert (path if re.match(pattern.replace("\\/", "/"), path) else "/index.html") == becomes


def _on_aws_text(sub: dict[str, Any]) -> str:
    text, values = sub["Fn::Sub"]
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", on_aws(value))
    return str(text)


def test_a_browser_is_told_to_be_strict() -> None:
    behaviors = [_DEFAULT, _BEHAVIORS["/api/*"]]
    assert {named(each["ResponseHeadersPolicyId"]) for each in behaviors} == {"PagesHeaders"}
    headers = _config("ResponseHeadersPolicy", "PagesHeaders")
    security = headers["SecurityHeadersConfig"]
    assert all(each["Override"] for each in security.values())
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
    text = _on_aws_text(security["ContentSecurityPolicy"]["ContentSecurityPolicy"])
    policy = {words[0]: words[1:] for words in (each.split() for each in text.split(";"))}
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["connect-src"] == policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["form-action"] == ["'self'", "https:"], "a provider's form goes to the provider"
    assert "unsafe" not in text
    (permissions, opener) = headers["CustomHeadersConfig"]["Items"]
    assert (permissions["Header"], opener["Header"]) == ("Permissions-Policy", "Cross-Origin-Opener-Policy")


def test_what_can_be_compressed_is() -> None:
    assert _DEFAULT["Compress"] is _BEHAVIORS["/api/*"]["Compress"] is True
    assert _DEFAULT["CachePolicyId"] == "658327ea-f89d-4fab-a63d-7e88639e58f6", "CachingOptimized: gzip and Brotli"
    key = _config("CachePolicy", named(_BEHAVIORS["/api/*"]["CachePolicyId"]))[
        "ParametersInCacheKeyAndForwardedToOrigin"
    ]
    assert key["EnableAcceptEncodingGzip"] is key["EnableAcceptEncodingBrotli"] is True


def test_a_name_of_the_shops_own_comes_with_its_certificate() -> None:
    condition, given, otherwise = _DISTRIBUTION["ViewerCertificate"]["Fn::If"]
    assert (condition, otherwise) == ("HasPagesDomain", {"Ref": "AWS::NoValue"})
    assert given["AcmCertificateArn"] == {"Ref": "PagesCertificate"}
    assert given["MinimumProtocolVersion"] == "TLSv1.2_2021"


def test_providers_tell_the_api_itself_and_send_buyers_to_the_pages() -> None:
    text, values = of_type("AWS::SSM::Parameter")["PublicUrls"]["Value"]["Fn::Sub"]
    assert json.loads(text) == {"api": "${ApiUrl}", "pages": "${PagesUrl}"}
    assert on_aws(values["ApiUrl"]) == on_aws(TEMPLATE["Outputs"]["ApiUrl"]["Value"])
    assert values["PagesUrl"] == TEMPLATE["Outputs"]["PagesUrl"]["Value"]
    assert "execute-api" in on_aws(values["ApiUrl"])["Fn::Sub"]
