"""What AWS allows, each limit with the page of its documentation that says so, and what the template itself sets.

Rates are a second; `burst` is what may come at once after a rest. All of them but a partition's can be raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

PARTITION_WRITES, PARTITION_READS = 1000, 3000  # a second, one item included; `KeyRangeThroughputExceeded` beyond


@dataclass(frozen=True, slots=True)
class Limit:
    name: str
    rate: float
    burst: float
    source: str


Limits = Mapping[str, Limit]

_STEP_FUNCTIONS = "Step Functions: Service quotas"
_FACTOR = "template.yaml: ParallelizationFactor (Lambda: at most 10)"
_SCALING = "Lambda: Understanding Lambda function scaling"

#: US East (N. Virginia), US West (Oregon), Europe (Ireland), and the template as it is.
DEFAULT: Limits = {
    "requests": Limit("API requests", 10_000, 5_000, "API Gateway: Quotas for REST APIs; the stage says the same"),
    "starts": Limit("StartExecution", 300, 1_300, _STEP_FUNCTIONS),
    "answers": Limit("SendTaskSuccess", 500, 3_000, _STEP_FUNCTIONS),
    "transitions": Limit("state transitions", 5_000, 5_000, _STEP_FUNCTIONS),
    "open": Limit("executions open at a time", 1_000_000, 0, _STEP_FUNCTIONS),
    "concurrency": Limit("Lambda, all functions at once", 1_000, 0, "Lambda: Lambda quotas"),
    "scaling": Limit("new environments of a function", 100, 1_000, _SCALING),
    "parameters": Limit("SSM GetParameter", 40, 40, "Systems Manager: Endpoints and quotas, default throughput"),
    "kms": Limit("KMS Decrypt", 10_000, 10_000, "KMS: Request quotas; more in large regions"),
    "table": Limit(
        "writes of a table or an index",
        4_000,
        0,
        "DynamoDB: On-demand capacity mode, initial throughput; three reads each",
    ),
    "start_lanes": Limit("start_trade, batches of a shard at once", 3, 0, _FACTOR),
    "record_lanes": Limit("record_events, batches of a shard at once", 10, 0, _FACTOR),
    "push_lanes": Limit("push_changes, batches of a shard at once", 10, 0, _FACTOR),
    "push_batch": Limit("push_changes, records a batch", 25, 0, "template.yaml: BatchSize"),
    "start_batch": Limit("start_trade, records a batch", 25, 0, "template.yaml: BatchSize"),
    "start_retries": Limit("start_trade on its retries, at once", 10, 0, "template.yaml: MaximumConcurrency"),
    "notices": Limit("confirm_payment at once", 100, 0, "template.yaml: MaximumConcurrency (Lambda: 2 to 1,000)"),
    "pollers": Limit(
        "a queue's pollers", 5, 5, "Lambda: Scaling behavior for SQS event source mappings: 5, and 300 more a minute"
    ),
}


def changed(limits: Limits, source: str, **rates: float | tuple[float, float]) -> Limits:
    """These limits with some at another rate, or rate and burst."""
    found = dict(limits)
    for key, given in rates.items():
        rate, burst = given if isinstance(given, tuple) else (given, max(given, limits[key].burst))
        found[key] = replace(limits[key], rate=rate, burst=burst, source=source)
    return found


SMALLER: Limits = changed(
    DEFAULT,
    f"{_STEP_FUNCTIONS}, all other regions",
    starts=(150, 800),
    answers=(300, 1_500),
    transitions=(800, 800),
)

#: A setting of the account: Parameter Store's higher throughput.
_HIGHER: dict[str, float | tuple[float, float]] = {"parameters": (10_000, 10_000)}
#: A warm table: WarmThroughput, or days with such peaks. 40,000 is a table's own default quota.
_WARM = 40_000

HIGHER: Limits = changed(DEFAULT, "higher throughput", **_HIGHER)
WARM: Limits = changed(DEFAULT, "warm", table=_WARM)
WARM_SMALLER: Limits = changed(SMALLER, "warm", table=_WARM)
READY: Limits = changed(HIGHER, "warm", table=_WARM)

#: What 8,000 trades a second take, and a fifth more.
RAISED: Limits = changed(
    DEFAULT,
    "asked for",
    **_HIGHER,
    requests=48_000,
    starts=9_600,
    answers=9_600,
    transitions=38_400,
    open=10_000_000,
    concurrency=6_950,
    notices=1_500,
    table=135_000,
)
