"""What the suite of cases came to: `✓` shown, `–` not in that protocol (with its reason), `✗` failed."""

from __future__ import annotations

from collections.abc import Iterable

PROPERTY = "cell"  # of a test's report, which may come from another process
SEEN: dict[tuple[str, str], str] = {}  # (case, row) → mark
REASONS: dict[tuple[str, str], str] = {}


def note(properties: Iterable[tuple[str, object]]) -> None:
    """What a report tells: (case, row, mark, reason), the last one last."""
    for name, value in properties:
        if name == PROPERTY and isinstance(value, tuple):
            case, row, mark, why = value
            SEEN[case, row] = mark
            if why:
                REASONS[case, row] = why


def lines() -> list[str]:
    cases = list(dict.fromkeys(case for case, _ in SEEN))
    rows = list(dict.fromkeys(row for _, row in SEEN))
    width = max(map(len, cases)) + 2
    found = [" " * width + " ".join(f"{number:>2}" for number in range(1, len(rows) + 1))]
    found += [case.ljust(width) + " ".join(f"{SEEN.get((case, row), ' '):>2}" for row in rows) for case in cases]
    found += [f"{number:>2}  {row}" for number, row in enumerate(rows, 1)]
    reasons: dict[str, list[str]] = {}
    for (case, row), why in REASONS.items():
        reasons.setdefault(f"{case}: {why}", []).append(row)
    found += [f"–   {reason} ({', '.join(of)})" for reason, of in sorted(reasons.items())]
    return found
