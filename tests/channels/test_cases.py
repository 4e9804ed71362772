"""Channels × cases: one table, every cell shown or its absence explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from cardshop.adapters.payments import PROVIDERS, outbound
from cardshop.domain.money import Money

from simulators import booth
from tests.channels import grid
from tests.channels.cases import CASES, WITH, Absent
from tests.channels.rows import SUBJECTS, account
from tests.channels.subject import Subject
from tests.channels.till import Till


@pytest.fixture(params=SUBJECTS, ids=lambda kind: kind.name)
def till(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    kind: type[Subject] = request.param
    monkeypatch.setattr(outbound, "pause", lambda _: None)
    with booth.serve(kind.stand(account(kind))) as served:
        yield Till(kind(served), Money(990, kind.currency))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, till: Till, record_property: Callable[[str, object], None]) -> None:
    def is_(mark: str, why: str = "") -> None:
        record_property(grid.PROPERTY, (name, till.subject.name, mark, why))

    is_("✗")
    try:
        CASES[name](till)
    except Absent:
        why = till.subject.absent.get(name) or till.subject.absent.get(WITH.get(name, ""))
        assert why, f"{till.subject.name} has no {name}, and does not say why"
        is_("–", why)
    else:
        assert name not in till.subject.absent, f"{till.subject.name} says it has no {name}"
        is_("✓")
    till.sound()


def test_every_provider_has_a_row() -> None:
    assert {subject.provider_name for subject in SUBJECTS} == set(PROVIDERS)
