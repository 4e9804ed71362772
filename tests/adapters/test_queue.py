"""Between a provider's call and its effect: what is queued is what came, byte for byte."""

from __future__ import annotations

import pytest
from cardshop.adapters.queue import SqsNoticeQueue, dumps, loads
from cardshop.domain.errors import Unavailable
from cardshop.domain.payment import Notice
from cardshop.ports import QueuedNotice
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.cloud import cloud, messages, queue
from tests.domain.builders import NOW, TRADE_ID, moments, texts

notices = st.builds(
    Notice,
    st.sampled_from(["GET", "POST"]),
    st.lists(st.tuples(texts, st.text(max_size=20)), max_size=4).map(tuple),
    st.dictionaries(texts, texts, max_size=3),
    st.binary(max_size=200),
)
QUEUED = QueuedNotice("epay", Notice("POST", (("a", "1"), ("a", "2")), {"x-sign": "é"}, b"\xff\x00raw"), NOW)


@given(st.builds(QueuedNotice, texts, notices, moments))
def test_a_notice_comes_out_of_the_queue_as_it_went_in(queued: QueuedNotice) -> None:
    assert loads(dumps(queued)) == queued


def test_a_message_names_its_trade_beside_the_notice() -> None:
    with cloud():
        url = queue("notices")
        SqsNoticeQueue(url).put(QUEUED, TRADE_ID)
        SqsNoticeQueue(url).put(QUEUED, "")  # a payment of no trade of ours
        found = messages(url)
        assert [loads(message["Body"]) for message in found] == [QUEUED, QUEUED]
        named = [message["MessageAttributes"]["trade_id"]["StringValue"] for message in found]
        assert named == [TRADE_ID, "-"]


def test_a_delayed_message_is_shown_again_when_its_delay_is_over() -> None:
    with cloud():
        url = queue("notices")
        SqsNoticeQueue(url).put(QUEUED, TRADE_ID)
        (message,) = messages(url)
        assert messages(url) == []
        SqsNoticeQueue(url).delay(message["ReceiptHandle"], 0)
        assert len(messages(url)) == 1


def test_a_queue_that_fails_is_unavailable() -> None:
    with cloud():
        missing = queue("notices") + "-not"
        with pytest.raises(Unavailable):
            SqsNoticeQueue(missing).put(QUEUED, TRADE_ID)
        with pytest.raises(Unavailable):
            SqsNoticeQueue(missing).delay("handle", 1)
