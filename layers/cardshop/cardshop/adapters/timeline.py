"""A trade's story: immutable entries, beside the order so that the order stays small."""

from __future__ import annotations

from collections.abc import Sequence

from cardshop.adapters.tables import TimelineItem, store
from cardshop.domain.order import Actor, Change
from cardshop.domain.trade import Status
from cardshop.ports import Incident


class DynamoTimeline:
    """`ports.Timeline`."""

    def append(self, trade_id: str, changes: Sequence[Change]) -> None:
        with store():
            for change in changes:
                TimelineItem(
                    trade_id,
                    f"EVENT#{change.version:06d}",
                    what=change.what,
                    at=change.at,
                    status=change.status.value,
                    by=change.actor.by,
                    terminal=change.actor.terminal,
                    device=change.actor.device,
                    address=change.actor.address,
                ).save()

    def of(self, trade_id: str) -> list[Change]:
        with store():
            entries = TimelineItem.query(trade_id, TimelineItem.entry.startswith("EVENT#"))
            return [
                Change(
                    int(entry.entry.removeprefix("EVENT#")),
                    entry.what,
                    Status(entry.status),
                    int(entry.at),
                    Actor(entry.by or "", entry.terminal, entry.device, entry.address),
                )
                for entry in entries
            ]

    def note(self, incident: Incident) -> None:
        with store():
            TimelineItem(
                incident.trade_id,
                f"INCIDENT#{incident.kind}#{incident.notice_digest}",
                what=incident.kind,
                at=incident.at,
                channel=incident.channel,
                payment_id=incident.payment_id,
                detail=incident.detail,
            ).save()

    def incidents(self, trade_id: str) -> list[Incident]:
        with store():
            entries = TimelineItem.query(trade_id, TimelineItem.entry.startswith("INCIDENT#"))
            return [
                Incident(
                    trade_id=trade_id,
                    kind=entry.what,
                    channel=entry.channel or "",
                    payment_id=entry.payment_id or "",
                    at=int(entry.at),
                    notice_digest=entry.entry.rpartition("#")[2],
                    detail=entry.detail or "",
                )
                for entry in entries
            ]
