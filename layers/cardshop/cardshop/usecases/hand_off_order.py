"""Hand an order over to another terminal: its holder gets a code, and whoever brings that first is a holder too.

A right code is let in however many wrong ones came from the same address: many buyers share one, and a code cannot be
guessed. Wrong ones are counted against it all the same, and wait as guesses at a password do.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain import handoff
from cardshop.domain.card import text_hmac
from cardshop.domain.errors import NotFound
from cardshop.ports import AttemptBook, Clock, Handoff, Handoffs
from cardshop.usecases.count_try import count_try

_GUESSES = "GUESSES#"


@dataclass(frozen=True, slots=True)
class HandOffOrder:
    handoffs: Handoffs
    attempts: AttemptBook
    secret: bytes
    clock: Clock

    def offer(self, trade_id: str, session_until: int) -> tuple[str, int]:
        """A fresh code, and when (ms) it is over. The session handed on ends when its giver's does (seconds)."""
        code, over = handoff.new_code(), self.clock() + handoff.LIFETIME_MS
        self.handoffs.put(Handoff(handoff.digest(code), trade_id, over, session_until))
        return code, over

    def take(self, code: str, address: str | None) -> Handoff:
        """Once. NotFound for a code that is unknown, used or over; TooManyAttempts after some of those."""
        now = self.clock()
        found = self.handoffs.take(handoff.digest(code), now)
        if found is None:
            count_try(self.attempts, _GUESSES + text_hmac(self.secret, "handoff", address or ""), now)
            raise NotFound("no such code, or it was used, or it is over")
        return found
