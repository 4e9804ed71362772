"""A provider calls: verify, queue, acknowledge. What is not the provider's own word is refused and not queued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardshop.domain.errors import NotFound
from cardshop.domain.payment import EventKind, Notice, Reply, trade_id_of
from cardshop.ports import Channels, Clock, NoticeQueue, Provider, QueuedNotice


@dataclass(frozen=True, slots=True)
class ReceiveNotice:
    channels: Channels
    provider: Callable[[str], Provider]
    queue: NoticeQueue
    clock: Clock

    def __call__(self, channel_name: str, notice: Notice) -> tuple[Reply, list[str]]:
        """(the provider's own word for "got it", the trades it is about). InvalidNotice: nothing was queued."""
        channel = self.channels.find(channel_name)
        if channel is None:
            raise NotFound("no such channel")
        provider = self.provider(channel.provider)
        now = self.clock()
        news = [each for each in provider.read_notice(channel, notice, now) if each.kind is not EventKind.OPEN]
        trades = [trade_id_of(event.payment_id or "") or "" for event in news]
        if news:
            self.queue.put(QueuedNotice(channel_name, notice, now), trades[0])
        return provider.acknowledge(), trades
