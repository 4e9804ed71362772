"""Who may call: the holder of the very order, or an operator; anybody else is told nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable

import jwt
import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.settings import SigningKey
from cardshop.api import tokens

from tests.adapters.cloud import forget_settings, items
from tests.domain.builders import TRADE_ID, delivered, placed
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import sample, with_header

HOLDER_CALLS = {
    "view_order": sample("view_order/order"),
    "reveal_cards": sample("reveal_cards/to_holder"),
    "pay_order": sample("pay_order/another_channel"),
    "cancel_order": sample("cancel_order/by_holder"),
    "confirm_receipt": sample("confirm_receipt/by_holder"),
}
OPERATOR_CALLS = {
    "manage_catalogue": sample("manage_catalogue/save_product"),
    "manage_channels": sample("manage_channels/epay"),
    "import_cards": sample("import_cards/file"),
    "inspect_trades": sample("inspect_trades/one_story"),
    "inspect_stock": sample("inspect_stock/one_product"),
    "manage_batches": sample("manage_batches/withdraw"),
}
NEXT_KEY = "the next key that signs tokens in the tests".ljust(64, "!")
AUDIENCE = {**dict.fromkeys(HOLDER_CALLS, "order"), **dict.fromkeys(OPERATOR_CALLS, "operator")}
CALLS = HOLDER_CALLS | OPERATOR_CALLS


def key_for(shop: Deployed, audience: str) -> SigningKey:
    return (shop.order_keys if audience == "order" else shop.operator_keys).current()


def claims(audience: str, **changed: object) -> dict[str, object]:
    now = int(time.time())
    all_of_them = {"aud": audience, "sub": TRADE_ID, "iat": now, "exp": now + 60, **changed}
    return {name: value for name, value in all_of_them.items() if value is not None}


def nested(depth: int) -> str:
    """A token whose header is nothing but brackets."""
    return base64.urlsafe_b64encode(b"[" * depth).decode().rstrip("=") + ".e30.c2ln"


#: name → the header that somebody without a good token sends, made of the key that a good one is signed with
Forge = Callable[[SigningKey, str], str | None]
FORGERIES: dict[str, Forge] = {
    "none": lambda key, aud: None,
    "empty": lambda key, aud: "",
    "no token": lambda key, aud: "Bearer ",
    "garbage": lambda key, aud: "Bearer garbage",
    "not ASCII": lambda key, aud: "Bearer é.é.é",
    "brackets": lambda key, aud: f"Bearer {nested(5000)}",
    "another scheme": lambda key, aud: f"Basic {jwt.encode(claims(aud), key.key, headers={'kid': key.kid})}",
    "expired": lambda key, aud: _signed(key, claims(aud, exp=int(time.time()) - 60)),
    "without an end": lambda key, aud: _signed(key, claims(aud, exp=None)),
    "for nobody": lambda key, aud: _signed(key, claims(aud, sub=None)),
    "for a number": lambda key, aud: _signed(key, claims(aud, sub=5)),
    "another audience": lambda key, aud: _signed(key, claims("operator" if aud == "order" else "order")),
    "no audience": lambda key, aud: _signed(key, claims(aud, aud=None)),
    "another key": lambda key, aud: _signed(SigningKey(key.kid, b"another key of the same length, or so"), claims(aud)),
    "an empty key": lambda key, aud: f"Bearer {_by_hand(claims(aud), key.kid, 'HS256', b'')}",
    "no signature": lambda key, aud: f"Bearer {_by_hand(claims(aud), key.kid, 'none', b'')}",
    "another algorithm": lambda key, aud: (
        f"Bearer {jwt.encode(claims(aud), key.key, algorithm='HS512', headers={'kid': key.kid})}"
    ),
    "no kid": lambda key, aud: f"Bearer {jwt.encode(claims(aud), key.key)}",
    "an unknown kid": lambda key, aud: _signed(SigningKey("0" * 16, key.key), claims(aud)),
}


def _signed(key: SigningKey, content: dict[str, object]) -> str:
    return f"Bearer {jwt.encode(content, key.key, algorithm='HS256', headers={'kid': key.kid})}"


def _by_hand(content: dict[str, object], kid: str, algorithm: str, key: bytes) -> str:
    """A token that PyJWT itself would not make."""
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "kid": kid}, content)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = b"" if algorithm == "none" else hmac.digest(key, text, hashlib.sha256)
    return b".".join([text, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode()


def test_without_a_good_token_nothing_is_told_and_nothing_done(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.order(delivered())
    before = items("OrdersTable"), items("CatalogueTable"), items("SealedTable")
    for (forgery, forge), (function, event) in itertools.product(FORGERIES.items(), CALLS.items()):
        with subtests.test(forgery=forgery, function=function):
            audience = AUDIENCE[function]
            header = forge(key_for(shop, audience), audience)
            answer = shop.call(function, with_header(event, "Authorization", header))
            assert answer.is_problem(401, "unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (items("OrdersTable"), items("CatalogueTable"), items("SealedTable")) == before


@pytest.mark.parametrize("function", HOLDER_CALLS)
def test_the_token_of_another_order_finds_nothing(shop: Deployed, function: str) -> None:
    """As if the order were not there: whoever holds no token learns nothing of it."""
    shop.order(delivered())
    answer = shop.call(function, shop.as_holder(CALLS[function], "z" * 26))
    assert answer.is_problem(404, "not_found")
    assert shop.stored().version == 3


@pytest.mark.parametrize("function", HOLDER_CALLS)
def test_a_good_token_of_an_order_that_is_not_there_finds_nothing(shop: Deployed, function: str) -> None:
    assert shop.call(function, shop.as_holder(CALLS[function])).is_problem(404, "not_found")


def test_a_token_is_taken_from_its_header_however_that_is_written(shop: Deployed) -> None:
    shop.order(placed())
    good = shop.as_holder(HOLDER_CALLS["view_order"])
    token = good["headers"]["Authorization"].partition(" ")[2]
    lower = with_header(with_header(good, "Authorization", None), "authorization", f"bearer {token}")
    assert shop.call("view_order", lower).status == 200


def test_a_token_from_before_a_rotation_is_still_good(shop: Deployed) -> None:
    shop.order(placed())
    old = shop.as_holder(HOLDER_CALLS["view_order"])
    client("secretsmanager").put_secret_value(SecretId="order-token-key", SecretString=NEXT_KEY)
    assert shop.call("view_order", old).status == 200
    forget_settings()  # a new process
    assert shop.call("view_order", old).status == 200
    assert shop.call("view_order", shop.as_holder(HOLDER_CALLS["view_order"])).status == 200


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_token_is_good_whatever_the_clock_of_whoever_issued_it(shop: Deployed, minutes: int) -> None:
    """Another worker's may be off: when a token ends is checked, not when it began."""
    shop.order(placed())

    def clock() -> float:
        return time.time() + minutes * 60

    token = tokens.issue(shop.order_keys, audience="order", subject=TRADE_ID, lifetime=3600, now=clock)
    asked = with_header(HOLDER_CALLS["view_order"], "Authorization", f"Bearer {token}")
    assert shop.call("view_order", asked).status == 200


def test_a_refused_token_is_not_logged(shop: Deployed, logs: Logs) -> None:
    header = FORGERIES["expired"](key_for(shop, "order"), "order")
    assert header is not None
    shop.call("view_order", with_header(HOLDER_CALLS["view_order"], "Authorization", header))
    assert header.partition(" ")[2] not in logs.text
