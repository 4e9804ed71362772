"""A sealed code opens as the card it was sealed as, under the key it was sealed with, and as nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.adapters.sealing import KmsOpener, KmsSealer
from cardshop.domain.errors import Unavailable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.cloud import cloud, kms_key

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SKU, CARD, CODE = "steam-50", "card-id", "STEAM-7F3K-22QX"


@given(st.text(min_size=1, max_size=200))
def test_any_code_opens_as_it_was_sealed_and_never_looks_the_same_twice(code: str) -> None:
    sealer, opener = KmsSealer("unused"), KmsOpener("unused")
    first, second = sealer.seal(KEY, SKU, CARD, code), sealer.seal(KEY, SKU, CARD, code)
    assert opener.open(KEY, SKU, CARD, first) == opener.open(KEY, SKU, CARD, second) == code
    assert first != second
    assert len(code) < 8 or code.encode() not in first


@pytest.mark.parametrize(
    ("key", "sku", "card"),
    [(OTHER_KEY, SKU, CARD), (KEY, "steam-500", CARD), (KEY, SKU, "other-id"), (KEY, f"{SKU}#card", "id")],
)
def test_a_code_does_not_open_as_another_card(key: bytes, sku: str, card: str) -> None:
    sealed = KmsSealer("unused").seal(KEY, SKU, CARD, CODE)
    with pytest.raises(Unavailable) as refused:
        KmsOpener("unused").open(key, sku, card, sealed)
    assert CODE not in f"{refused.value!r}"


@given(st.integers(min_value=0), st.integers(1, 255))
@settings(max_examples=30)
def test_a_code_that_was_tampered_with_does_not_open(where: int, difference: int) -> None:
    sealed = bytearray(KmsSealer("unused").seal(KEY, SKU, CARD, CODE))
    sealed[where % len(sealed)] ^= difference
    with pytest.raises(Unavailable):
        KmsOpener("unused").open(KEY, SKU, CARD, bytes(sealed))


def test_a_data_key_is_wrapped_for_its_product_and_batch() -> None:
    with cloud():
        arn = kms_key()
        wrapped, plain = KmsSealer(arn).new_key(SKU, "batch-1")
        assert len(plain) == 32
        assert plain not in wrapped.wrapped
        assert KmsOpener(arn).unwrap(wrapped) == plain
        for other in (replace(wrapped, sku="other"), replace(wrapped, batch="batch-2")):
            with pytest.raises(Unavailable):
                KmsOpener(arn).unwrap(other)


def test_every_import_has_a_key_of_its_own() -> None:
    with cloud():
        sealer = KmsSealer(kms_key())
        (one, one_plain), (other, other_plain) = sealer.new_key(SKU, "batch-1"), sealer.new_key(SKU, "batch-1")
        assert one.key_id != other.key_id
        assert one_plain != other_plain


def test_a_key_service_that_fails_is_unavailable() -> None:
    with cloud(), pytest.raises(Unavailable):
        KmsSealer("00000000-0000-0000-0000-000000000000").new_key(SKU, "batch-1")
