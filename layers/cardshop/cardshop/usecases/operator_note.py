"""What an operator did by hand, and why, beside the trade's timeline: who, in whose words, with which reference."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cardshop.domain.payment import Payment
from cardshop.ports import Clock, Incident, Timeline


@dataclass(frozen=True, slots=True)
class Reason:
    operator: str
    note: str


@dataclass(frozen=True, slots=True)
class OperatorNote:
    """Written before the deed itself: a deed without its reason is never found. The same words again are one note."""

    timeline: Timeline
    clock: Clock

    def __call__(self, kind: str, trade_id: str, payment: Payment, reason: Reason, about: str = "") -> None:
        said = ", ".join(each for each in (reason.operator, about, reason.note) if each)
        digest = hashlib.sha256(f"{payment.payment_id} {said}".encode()).hexdigest()[:12]
        self.timeline.note(Incident(trade_id, kind, payment.channel, payment.payment_id, self.clock(), digest, said))
