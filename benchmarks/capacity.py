"""What DynamoDB charges for a call: the sizes of items, and read and write units.

Writes are as the engine answers them (`ReturnConsumedCapacity`): it knows the item before and the indexes. Reads it
answers by the call, whatever their size; here they are counted from the items that came back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
READS = {"GetItem", "BatchGetItem", "Query", "Scan"}

_READ_KB, _WRITE_KB = 4, 1

Item = Mapping[str, Any]  # in DynamoDB's own JSON
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Used:
    """Units of one table, or of one of its indexes."""

    table: str
    index: str | None = None
    reads: float = 0.0
    writes: float = 0.0


def item_size(item: Item) -> int:
    """Bytes: attribute names and values in UTF-8; a number is a byte for two digits and one more."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def write_units(size: int) -> int:
    return _started(size, _WRITE_KB)


def read_units(size: int, *, consistent: bool) -> float:
    return _started(size, _READ_KB) * (1.0 if consistent else 0.5)


def used(operation: str, request: Json, answer: Json) -> list[Used]:
    """What this call, which went well, consumed."""
    if operation in WRITES:
        return [each for consumed in _listed(answer.get("ConsumedCapacity")) for each in _written(consumed)]
    return list(_read(operation, request, answer)) if operation in READS else []


def refused(operation: str, request: Json, error: str) -> list[Used]:
    """What a write consumed that its condition refused, or another transaction: as if it had been done, at least."""
    if error == "ConditionalCheckFailedException":
        return [Used(request["TableName"], writes=1)]
    if error == "TransactionCanceledException":
        actions = [action for wanted in request["TransactItems"] for action in wanted.values()]
        return [Used(action["TableName"], writes=2) for action in actions]
    return []


def _read(operation: str, request: Json, answer: Json) -> Iterator[Used]:
    if operation == "BatchGetItem":
        for table, wanted in request["RequestItems"].items():
            consistent = bool(wanted.get("ConsistentRead"))
            found = [item_size(item) for item in answer["Responses"].get(table, [])]
            sizes = found + [0] * (len(wanted["Keys"]) - len(found))
            yield Used(table, reads=sum(read_units(size, consistent=consistent) for size in sizes))
        return
    items = [answer["Item"]] if "Item" in answer else answer.get("Items", [])
    size = sum(item_size(item) for item in items)
    units = read_units(size, consistent=bool(request.get("ConsistentRead")))
    yield Used(request["TableName"], request.get("IndexName"), reads=units)


def _written(consumed: Json) -> Iterator[Used]:
    total = float(consumed["CapacityUnits"])
    for index, of_it in consumed.get("GlobalSecondaryIndexes", {}).items():
        total -= float(of_it["CapacityUnits"])
        yield Used(consumed["TableName"], index, writes=float(of_it["CapacityUnits"]))
    yield Used(consumed["TableName"], writes=total)


def _listed(consumed: Json | Sequence[Json] | None) -> Sequence[Json]:
    if consumed is None:
        return []
    return [consumed] if isinstance(consumed, Mapping) else consumed


def _started(size: int, kilobytes: int) -> int:
    return max(1, -(-size // (1024 * kilobytes)))


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return _number_size(held)
        case "B":
            return len(base64.b64decode(held)) if isinstance(held, str) else len(held)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_size(each) for each in held)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(each) for name, each in held.items())
    raise ValueError(f"no size for a value of kind {kind}")


def _number_size(number: str) -> int:
    digits = number.lstrip("-").replace(".", "").strip("0") or "0"
    return (len(digits) + 1) // 2 + 1 + number.startswith("-")
