"""What the shop is measured beside is no slower than it must be."""

from __future__ import annotations

from engine.processes import PROJECT
from tests.template.cloudformation import read

FLOOR = read((PROJECT / "benchmarks" / "floor" / "template.yaml").read_text())["Resources"]


def test_the_bare_chain_has_no_stream_and_the_bare_push_one_that_is_read() -> None:
    stream = FLOOR["Orders"]["Properties"]["StreamSpecification"]
    condition, _, otherwise = stream["Fn::If"]
    assert otherwise == {"Ref": "AWS::NoValue"}
    readers = {
        name: event["Properties"].get("Enabled", True)
        for name, resource in FLOOR.items()
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "DynamoDB" and resource.get("Condition") == condition
    }
    assert readers == {"Push": True}
