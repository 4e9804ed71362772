"""Guessing is slow: each try counts, and the wait between tries doubles."""

from __future__ import annotations

from cardshop.domain.errors import TooManyAttempts
from cardshop.ports import AttemptBook, Attempts

_FREE = 3  # tries without a wait between them
_MAX_WAIT = 900_000  # milliseconds


def count_try(attempts: AttemptBook, subject: str, now: int) -> None:
    """One try more of `subject`'s. TooManyAttempts, with the seconds to wait, if it may not be made yet."""
    seen = attempts.of(subject)
    if seen.not_before > now:
        raise TooManyAttempts("wait before the next try", retry_after=-(-(seen.not_before - now) // 1000))
    count = seen.count + 1
    wait = min(_MAX_WAIT, 1000 * 2 ** (count - _FREE)) if count >= _FREE else 0
    if not attempts.enter(subject, seen, Attempts(count, now + wait)):
        raise TooManyAttempts("another try is being made", retry_after=1)
