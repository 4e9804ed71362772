"""What the settings of a channel must look like: the field that does not is named, and never its value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from cardshop.domain.errors import InvalidRequest

#: A provider that is simulated on this machine: there alone no TLS is asked for.
LOCAL = r"http://(127\.0\.0\.1|localhost):[0-9]{1,5}"

#: Field → the form its value must have (as a whole, ASCII), and its meaning.
Forms = Mapping[str, tuple[str, str]]


def fit(settings: Mapping[str, str], forms: Forms) -> None:
    """InvalidRequest naming the first setting that has not its form; one that is missing is empty."""
    for field, (form, meaning) in forms.items():
        if not re.fullmatch(form, settings.get(field, ""), re.ASCII):
            raise InvalidRequest(f"{field}: {meaning}")


def only(settings: Collection[str], known: Collection[str], provider: str) -> None:
    """InvalidRequest naming the first setting that the provider has not."""
    if unknown := set(settings) - set(known):
        raise InvalidRequest(f"{min(unknown)}: not a setting of {provider}")
