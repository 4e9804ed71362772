"""RSA as these protocols use it: SHA-256, PKCS #1 v1.5 (RFC 8017), base64, keys of 2048 bits or more."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from cardshop.domain.errors import InvalidRequest

_BITS = 2048
_HEADER = 4  # bytes, of DER that is longer than 255
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----([A-Za-z0-9+/=\s]+)-----END [A-Z ]+-----")


def sign(key: RSAPrivateKey, message: bytes) -> str:
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def signed_by(message: bytes, signature: str, *keys: RSAPublicKey) -> bool:
    """Whether one of these keys made the signature; nothing did that is no base64."""
    try:
        given = base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    return any(_made(given, message, key) for key in keys)


def _made(signature: bytes, message: bytes, key: RSAPublicKey) -> bool:
    try:
        key.verify(signature, message, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def ders(text: str) -> list[bytes]:
    """Each key of a text: PEM or, as the platforms' own tools write it, its base64 alone, in one line or several.

    ValueError for anything else.
    """
    found = [base64.b64decode("".join(body.split()), validate=True) for body in _PEM.findall(text)]
    bare = b""
    for piece in _PEM.sub(" ", text).split():
        bare += base64.b64decode(piece, validate=True)
        if len(bare) == _HEADER + int.from_bytes(bare[2:_HEADER]):  # so long is its content, it says itself
            found.append(bare)
            bare = b""
    if bare or not found:
        raise ValueError("no key")
    return found


@lru_cache(maxsize=8)
def own(text: str) -> RSAPrivateKey:
    """The one private key of a text, as in `ders`."""
    (der,) = ders(text)
    return private(der)


@lru_cache(maxsize=8)
def theirs(text: str) -> tuple[RSAPublicKey, ...]:
    """The public key of a text, as in `ders`, or two while one replaces the other."""
    keys = tuple(map(public, ders(text)))
    if len(keys) > 2:
        raise ValueError("more than an old one and a new one")
    return keys


def private(key: bytes, load: Callable[..., object] = load_der_private_key) -> RSAPrivateKey:
    """As it is written for `load`, without a password; ValueError or UnsupportedAlgorithm for anything else."""
    try:
        found = load(key, password=None)
    except TypeError:
        raise ValueError("it wants a password") from None
    if not isinstance(found, RSAPrivateKey) or found.key_size < _BITS:
        raise ValueError("not RSA of so many bits")
    return found


def public(key: bytes) -> RSAPublicKey:
    """From DER; ValueError or UnsupportedAlgorithm for anything else."""
    return strong(load_der_public_key(key))


def strong(key: object) -> RSAPublicKey:
    """ValueError unless it is a public key that is long enough."""
    if not isinstance(key, RSAPublicKey) or key.key_size < _BITS:
        raise ValueError("not RSA of so many bits")
    return key


@contextmanager
def setting(field: str, meaning: str) -> Iterator[None]:
    """InvalidRequest if a key that an operator saves is not what this field means."""
    try:
        yield
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidRequest(f"{field}: {meaning}") from None
