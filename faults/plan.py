"""Where something can go wrong, as a run comes by: each such point has a number, and each thing a name."""

from __future__ import annotations

from collections.abc import Callable

from faults.clock import START, clock


class Plan:
    """`branch`, given a case and what goes on there, answers whether this run is that case. One goes wrong a run."""

    def __init__(
        self, flow: str, branch: Callable[[str, str], bool], *, tell: Callable[[str], object] | None = None
    ) -> None:
        self._flow = flow
        self._branch = branch
        self._tell = tell
        self._number = 0
        self.listens = False
        self.calls = 0
        self.case: str | None = None  # what has gone wrong

    def begin(self) -> None:
        """What came before this belonged to the setting up."""
        self.listens = True

    def end(self) -> None:
        """What comes now is the examination."""
        self.listens = False

    def at(self, what: str, *kinds: str) -> str | None:
        """What goes wrong here, if this is where it does."""
        self.tell(f"{what} [{', '.join(kinds)}]" if self.listens else what, self._number + 1)
        if not self.listens or not kinds:
            return None
        self._number += 1
        for kind in kinds:
            case = f"{self._flow}:{kind}:{self._number}"
            if self._branch(case, what):
                self.listens = False
                self.case = case
                self.tell(f"-> {kind}", self._number)
                return kind
        return None

    def tell(self, what: str, number: int | None = None) -> None:
        if self._tell is not None:
            self._tell(f"{(clock.now - START) / 1000:12.3f} {number or '':>5} {what}")
