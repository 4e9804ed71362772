"""A terminal that follows one order by the pages' rules (`web/src/merge.ts`, `web/src/trades.ts`): the greater version
is the later account, a change is shown once wherever it came from, and what may have been missed is asked for.
"""

from __future__ import annotations

from typing import Any

Order = dict[str, Any]


class Terminal:
    def __init__(self) -> None:
        self.order: Order = {"version": 0}
        self.changes: dict[int, Any] = {}  # by version
        self.versions: list[int] = []  # that it showed, one after the other
        self.heard = 0  # of them by push

    @property
    def version(self) -> int:
        return int(self.order["version"])

    @property
    def is_whole(self) -> bool:
        """It knows every change up to its version; a timeline is written a moment after its order."""
        return len(self.changes) == self.version

    @property
    def tag(self) -> str:
        """What a conditional GET names: nothing, if an answer of this version may bring what is missing."""
        return f'"{self.version}"' if self.is_whole else '""'

    def told(self, order: Order) -> None:
        """What a GET answered."""
        for change in order["timeline"]:
            self._learn(change)
        self._show({name: value for name, value in order.items() if name != "timeline"})

    def pushed(self, message: dict[str, Any]) -> bool:
        """Whether changes between what was known and this one were not seen: they are to be asked for."""
        known = self.version
        self._learn(message["change"])
        self.heard += self._show(message["order"])
        return self.version > known + 1

    def _learn(self, change: dict[str, Any]) -> None:
        assert self.changes.setdefault(change["version"], change) == change, "one change was told in two ways"

    def _show(self, order: Order) -> bool:
        if order["version"] <= self.version:
            return False
        self.order = order
        self.versions.append(order["version"])
        return True
