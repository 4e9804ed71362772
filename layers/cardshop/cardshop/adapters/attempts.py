"""How often somebody has tried to look an order up by its password."""

from __future__ import annotations

from pynamodb.exceptions import PutError

from cardshop.adapters.tables import AttemptItem, refused, store
from cardshop.ports import Attempts

_KEPT = 86_400  # seconds after the last one


class DynamoAttemptBook:
    """`ports.AttemptBook`."""

    def of(self, subject: str) -> Attempts:
        with store():
            try:
                item = AttemptItem.get(subject, consistent_read=True)
            except AttemptItem.DoesNotExist:
                return Attempts(0, 0)
        return Attempts(int(item.tries), int(item.not_before))

    def enter(self, subject: str, seen: Attempts, now: Attempts) -> bool:
        item = AttemptItem(
            subject, tries=now.count, not_before=now.not_before, forgotten_at=now.not_before // 1000 + _KEPT
        )
        unchanged = AttemptItem.tries == seen.count if seen.count else AttemptItem.subject.does_not_exist()
        with store():
            try:
                item.save(condition=unchanged)
            except PutError as error:
                if refused(error):
                    return False
                raise
        return True

    def clear(self, subject: str) -> None:
        with store():
            AttemptItem(subject).delete()
