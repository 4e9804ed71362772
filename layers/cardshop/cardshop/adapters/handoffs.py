"""Codes that hand an order over, in the table of tries: nothing of either is worth more than a day."""

from __future__ import annotations

from pynamodb.exceptions import DeleteError

from cardshop.adapters.tables import HandoffItem, refused, store
from cardshop.ports import Handoff

_PREFIX = "HANDOFF#"  # the role of who hands orders over reaches these and the guesses at them, no other tries


class DynamoHandoffs:
    """`ports.Handoffs`."""

    def put(self, handoff: Handoff) -> None:
        with store():
            HandoffItem(
                _PREFIX + handoff.digest,
                trade_id=handoff.trade_id,
                not_after=handoff.not_after,
                session_until=handoff.session_until,
                forgotten_at=handoff.not_after // 1000,
            ).save()

    def take(self, digest: str, now: int) -> Handoff | None:
        """One conditional delete: of two who bring the same code, one is answered."""
        with store():
            try:
                gone = HandoffItem._get_connection().delete_item(
                    _PREFIX + digest, condition=HandoffItem.not_after > now, return_values="ALL_OLD"
                )
            except DeleteError as error:
                if refused(error):
                    return None
                raise
        item = HandoffItem.from_raw_data(gone["Attributes"])
        return Handoff(digest, item.trade_id, int(item.not_after), int(item.session_until))
