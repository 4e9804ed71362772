"""The reader of the functions' source finds what is read, and only that."""

from __future__ import annotations

from tests.template.cloudformation import PROJECT
from tests.template.reads import packages, variables


def _of(name: str) -> set[str]:
    return variables(PROJECT / "functions" / f"{name}.py")


def test_it_follows_the_code_from_file_to_file() -> None:
    assert "SEALING_KEY" in _of("import_cards"), "in the function's own file"
    assert "OPERATOR_TOKEN_KEY" in _of("import_cards"), "in what it imports"
    assert "RETRY_QUEUE_URL" in _of("count_stock"), "in a method of what it imports"
    assert "PUBLIC_URLS_PARAMETER" in _of("place_order"), "in a function that it only passes on"


def test_it_asks_for_nothing_that_is_not_reached() -> None:
    assert "PUBLIC_URLS_PARAMETER" not in _of("view_order"), "it imports the module, not the function that reads it"
    assert _of("browse_products") == set()


def test_it_finds_packages() -> None:
    assert "cryptography" in packages(PROJECT / "functions" / "reveal_cards.py")
    assert "cryptography" not in packages(PROJECT / "functions" / "cancel_order.py")
    assert "cryptography" in packages(PROJECT / "functions" / "place_order.py"), "a provider that it loads by name"
