"""What each function loads when it is imported, of what its layers and the runtime have: of that a cold start is made.

Asked of the layers as they are built, so that nothing has to be measured for a new weight to be seen.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import runtime
from engine import deploy
from tests.template.cloudformation import TEMPLATE, named, of_type

_FUNCTIONS: dict[str, Any] = {
    each["Handler"].split(".")[0]: each for each in of_type("AWS::Serverless::Function").values()
}
_LAYERS = TEMPLATE["Globals"]["Function"]["Layers"]

_SCRIPT = """
import gc, json, sys
module = __import__(sys.argv[1])
assert callable(module.handler)
print(json.dumps([gc.get_count()[0], sorted(sys.modules)]))
"""

#: The log and the way to AWS, which every function has.
_EVERYONES = {"aws_lambda_powertools", "botocore", "dateutil", "jmespath", "six", "typing_extensions", "urllib3"}
#: Parts of what everyone has, and of Python, that weigh something and are not needed by everyone.
_PARTS = {
    "asyncio",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.parameters",
    "boto3",
    "cardshop.adapters.payments.outbound",
    "multiprocessing",
}

_TABLES = {"pynamodb"}
_DOOR = {"aws_lambda_powertools.event_handler", "aws_lambda_powertools.utilities.data_classes"}
_STREAM = {"aws_lambda_powertools.utilities.batch", "aws_lambda_powertools.utilities.data_classes", "asyncio"}
_CRYPTOGRAPHY = {"cryptography", "_cffi_backend", "_openssl"}
_PARAMETERS = {"aws_lambda_powertools.utilities.parameters", "boto3", "s3transfer", "multiprocessing"}
_SESSION = _DOOR | _TABLES | _PARAMETERS | {"jwt"}
_BODY = _SESSION | {"pydantic", "pydantic_core", "annotated_types", "typing_inspection"}
_SECRETS = _BODY | _CRYPTOGRAPHY  # jwt takes it where it is: in the layers of those who seal, open or pay

_ALLOWED = {
    "audit_stock": _TABLES,
    "browse_products": _DOOR | _TABLES,
    "cancel_order": _BODY,
    "close_trade": _TABLES | _PARAMETERS,
    "complete_trade": _TABLES,
    "confirm_by_hand": _BODY,
    "confirm_payment": _STREAM | _TABLES | _PARAMETERS,
    "confirm_receipt": _BODY,
    "connect_terminal": _TABLES,
    "count_stock": _STREAM | _TABLES,
    "deliver_cards": _TABLES,
    "hand_off_order": _BODY,
    "import_cards": _SESSION | _CRYPTOGRAPHY,
    "inspect_stock": _SESSION,
    "inspect_trades": _SESSION,
    "issue_ticket": _SESSION,
    "lookup_order": _BODY,
    "manage_batches": _BODY,
    "manage_catalogue": _BODY,
    "manage_channels": _SECRETS,
    "pay_order": _SECRETS,
    "place_order": _SECRETS,
    "push_changes": _STREAM | _DOOR | _TABLES,
    "receive_notice": _DOOR | _TABLES | _PARAMETERS,
    "reconcile": _TABLES | _PARAMETERS,
    "record_events": _STREAM | _TABLES,
    "refund_payment": _SECRETS,
    "reveal_cards": _SECRETS,
    "start_trade": _STREAM,
    "view_order": _SESSION,
}


@pytest.fixture(scope="module")
def packages() -> Iterator[Path]:
    deploy.build()
    with runtime.packages() as folder:
        yield folder


def imported(function: str, packages: Path) -> tuple[int, set[str]]:
    """How many objects were made since they were last searched for garbage, and the modules."""
    names = [named(layer) or "" for layer in [*_LAYERS, *_FUNCTIONS[function].get("Layers", [])]]
    folder = runtime.BUILT / f"{''.join(map(str.capitalize, function.split('_')))}Function"
    told = runtime.run(["-c", _SCRIPT, function], [folder, *runtime.layers(names), packages])
    made, modules = json.loads(told)
    return made, set(modules)


@pytest.mark.parametrize("function", sorted(_FUNCTIONS))
def test_a_function_imports_what_it_needs_and_nothing_besides(function: str, packages: Path) -> None:
    made, modules = imported(function, packages)
    known = sys.stdlib_module_names | {"cardshop", "__main__", "__mp_main__", function}
    third_party = {name.partition(".")[0] for name in modules if not name.startswith("_sysconfigdata")} - known
    assert (third_party - _EVERYONES) | (modules & _PARTS) == _ALLOWED[function]
    assert made > 20_000, "what imports make is no garbage, and is not searched for it"
