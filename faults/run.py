"""Every case of every flow: the flow is run once, and a copy of the process goes its own way at each thing that can
go wrong. The copy is the case: nothing that it does reaches another.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import json
import os
import random
import secrets
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from cardshop.adapters.aws import client

from faults import template
from faults.calls import Broken
from faults.flows import CODES, FLOWS, Flow
from faults.people import Shop
from faults.plan import Plan
from faults.platform import Platform
from faults.providers import Providers
from tests.adapters.cloud import cloud, kms_key, secret

Branch = Callable[[str, str], bool]
Wanted = Callable[[str, str, argparse.Namespace], bool]
_HANGS = 300  # seconds after which a case is given up
_SHOWN = 40


@dataclass
class Result:
    case: str  # flow:fault:number; `flow::` is the flow without a fault
    found: list[str]
    calls: int = 0


@dataclass
class Copies:
    """Of this process, each in a case of its own, so many at a time."""

    most: int
    wanted: Branch
    first: bool = False  # none after one that failed
    results: list[Result] = field(default_factory=list)
    _running: dict[int, tuple[str, int]] = field(default_factory=dict)
    answers_to: int | None = None  # in a copy: the pipe to where it came from

    def branch(self, case: str, what: str = "") -> bool:
        """True in the copy that is to be this case."""
        if not self.wanted(case, what) or (self.first and any(each.found for each in self.results)):
            return False
        while len(self._running) >= self.most:
            self.reap()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.answers_to = write
            signal.alarm(_HANGS)
            return True
        os.close(write)
        self._running[pid] = case, read
        return False

    def reap(self) -> None:
        pid, status = os.wait()
        case, read = self._running.pop(pid)
        with os.fdopen(read) as answer:
            text = answer.read()
        if text:
            self.results.append(Result(**json.loads(text)))
        else:
            self.results.append(Result(case, [f"the case's process ended: {os.waitstatus_to_exitcode(status)}"]))

    def finish(self) -> None:
        while self._running:
            self.reap()


def cases(given: argparse.Namespace) -> int:
    if given.case:
        return _one(given.case, given.code)
    began = time.perf_counter()
    _load()
    results: list[Result] = []
    flows = [FLOWS[name] for name in given.flow or FLOWS]
    for flow in flows:
        started = time.perf_counter()
        wanted = _one_of_each_kind(flow, given) if given.one_of_each else _is_wanted
        of_flow = _all(flow, given, wanted)
        failed = sum(bool(each.found) for each in of_flow)
        seconds = time.perf_counter() - started
        print(f"{flow.name}: {len(of_flow) - 1} cases, {failed} failed, {seconds:.0f} s", flush=True)
        results += of_flow
        if given.first and failed:
            break
    print(f"\n{table(results)}\n")
    if never := {kind for kinds in GROUPS.values() for kind in kinds} - {each.case.split(":")[1] for each in results}:
        print(f"not played: {', '.join(sorted(never))}\n")
    for each in [each for each in results if each.found][:_SHOWN]:
        print(f"make faults CASE={each.case}")
        print("".join(f"    {what}\n" for what in each.found[:6]), end="")
    failed = sum(bool(each.found) for each in results)
    print(
        f"{len(flows)} flows, {len(results) - len(flows)} cases, {failed} failed, {time.perf_counter() - began:.0f} s"
    )
    return 1 if failed else 0


def _load() -> None:
    """What every flow needs is loaded here, once: each is run in a copy of this process."""
    with cloud():
        kms_key()
        secret("any", "secret")
        client("ssm").describe_parameters()
    for function in template.functions():
        importlib.import_module(f"functions.{function}")


def _is_wanted(case: str, what: str, given: argparse.Namespace) -> bool:
    _, kind, _ = case.split(":")
    if (given.kind and kind not in given.kind) or (given.at or "") not in what:
        return False
    return _lot(case, given) % int(given.one_in) == 0


def _lot(case: str, given: argparse.Namespace) -> int:
    return int.from_bytes(hashlib.sha256(f"{given.seed} {case}".encode()).digest()[:4])


def _one_of_each_kind(flow: Flow, given: argparse.Namespace) -> Wanted:
    """By lot, among all cases that there are: they are known once the flow has been run."""
    there: dict[str, list[str]] = {}

    def only_told(case: str, what: str, given: argparse.Namespace) -> bool:
        if _is_wanted(case, what, given):
            there.setdefault(case.split(":")[1], []).append(case)
        return False

    read, write = os.pipe()
    if os.fork() == 0:
        _run(flow, given.code, lambda case, what: only_told(case, what, given))
        drawn = [min(cases, key=lambda case: _lot(case, given)) for cases in there.values()]
        os.write(write, json.dumps(drawn).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        names = frozenset(json.loads(answer.read() or "[]"))
    os.wait()
    return lambda case, what, given: case in names


def _one(case: str, code: Path) -> int:
    flow, _, _ = case.split(":")
    result = _run(FLOWS[flow], code, lambda here, what: here == case, tell=lambda line: print(line, file=sys.stderr))
    reached = result.case == case or case.endswith("::")
    for what in result.found if reached else ["there is no such case"]:
        print(what)
    print(f"{case}: {'failed' if result.found or not reached else 'ok'}")
    return 1 if result.found or not reached else 0


def _all(flow: Flow, given: argparse.Namespace, wanted: Wanted) -> list[Result]:
    """The flow and its cases, in a process of their own: this one knows nothing of any shop."""
    copies = Copies(1, lambda case, what: True)
    if copies.branch(f"{flow.name}::"):
        most = given.jobs or os.cpu_count() or 1
        cases = Copies(most, lambda case, what: wanted(case, what, given), given.first)
        _of_flow(flow, given.code, cases, copies)
    read = next(iter(copies._running.values()))[1]
    with os.fdopen(read) as answer:
        found = [Result(**json.loads(line)) for line in answer]
    os.wait()
    return found or [Result(f"{flow.name}::", ["the flow's process ended"])]


def _of_flow(flow: Flow, code: Path, copies: Copies, origin: Copies) -> NoReturn:
    signal.alarm(0)
    assert origin.answers_to is not None
    result = _run(flow, code, copies.branch)
    if copies.answers_to is not None:
        os.write(copies.answers_to, json.dumps(vars(result)).encode())
        os._exit(0)
    copies.finish()
    with os.fdopen(origin.answers_to, "w") as answer:
        answer.writelines(f"{json.dumps(vars(each))}\n" for each in [result, *copies.results])
    os._exit(0)


def _run(
    flow: Flow, code: Path, branch: Callable[[str, str], bool], tell: Callable[[str], object] | None = None
) -> Result:
    random.seed(0)
    vars(secrets).update(token_bytes=random.randbytes, randbelow=random.randrange)
    plan = Plan(flow.name, branch, tell=tell)
    platform = Platform(plan, code, flow.parameters)
    shop = Shop(platform, Providers(platform))
    found: list[str] = []
    try:
        shop.opens()
        if flow.stocked:
            shop.imports(*CODES)
        platform.wait(5)
        gc.freeze()
        plan.begin()
        shop.providers.begin()
        ends = flow.act(shop)
        found += shop.comes_to_rest()
        for order, statuses in ends:
            if (status := shop.stored(order)["status"]) not in statuses:
                found.append(f"{order.trade_id} ended as {status} instead of {' or '.join(statuses)}")
    except (Exception, Broken) as error:  # noqa: BLE001  the harness's own trouble fails the case too
        where = traceback.extract_tb(error.__traceback__)[-1]
        found.append(f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
    return Result(plan.case or f"{flow.name}::", found, plan.calls)


#: What stands in one column of the table.
GROUPS = {
    "stopped": ("crash-before", "crash-after", "stopped"),
    "refused": ("throttled", "error", "conflict", "flaky"),
    "silent": ("down", "mute", "lost"),
    "again": ("repeated", "twice", "again", "unheard"),
    "order": ("late", "overtaken", "reversed", "skipped"),
    "race": ("paused", "raced"),
    "clock": ("ahead", "behind", "provider-ahead", "provider-behind"),
}


def table(results: list[Result]) -> str:
    """Flows × groups of faults: how many cases, and how many of them failed."""
    group_of = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
    cases: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    calls: dict[str, int] = {}
    for each in results:
        flow, kind, _ = each.case.split(":")
        if not kind:
            calls[flow] = each.calls
        for group in {group_of[kind], "all"} if kind else {"none", "all"}:
            cases[flow, group] += 1
            failed[flow, group] += bool(each.found)

    def cell(flow: str, group: str) -> str:
        count, bad = cases[flow, group], failed[flow, group]
        return "" if not count else f"{count}" if not bad else f"{count}, {bad} failed"

    columns = ["none", *GROUPS, "all"]
    rows = [["flow", "calls", *columns]]
    rows += [[flow, f"{calls[flow]}", *(cell(flow, column) for column in columns)] for flow in calls]
    total = [sum(cases[flow, column] for flow in calls) for column in columns]
    rows.append(["all", f"{sum(calls.values())}", *map(str, total)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" | ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    rule = "|".join("-" * (width + 1) + ":" for width in widths)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])
