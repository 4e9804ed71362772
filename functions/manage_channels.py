"""PUT /admin/channels/{channel}: configure an account at a payment provider. PUT …/offer: offer it to buyers or not."""

from __future__ import annotations

import os
from functools import cache

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from cardshop.adapters.log import logger
from cardshop.adapters.payments import provider
from cardshop.adapters.settings import ChannelSettingsStore
from cardshop.api import schemas
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator
from cardshop.domain.errors import Unprocessable
from cardshop.domain.payment import CHANNEL_NAME
from cardshop.usecases.manage_channels import ManageChannels

door = Door()
metrics = Metrics(namespace="Cardshop", service="cardshop")


@cache
def _manage() -> ManageChannels:
    return ManageChannels(
        store=ChannelSettingsStore(os.environ["CHANNELS_PREFIX"], os.environ["SETTINGS_KEY"]),
        provider=provider,
        plain_http=os.environ["PLAIN_HTTP_PROVIDERS"] == "true",
    )


@door.route("PUT", "/admin/channels/<channel>")
def save(channel: str) -> Response[str]:
    who = operator(door)
    _check_name(channel)
    body = schemas.read(schemas.ChannelRequest, door.body)
    saved = _manage()(channel, body.provider, body.settings())
    logger.info("channel saved", extra={"channel": channel, "provider": saved.provider, "operator": who})
    metrics.add_metric("PaymentSettingsChanged", MetricUnit.Count, 1)  # an intruder's first aim: always an alarm
    return answer(200, {"channel": channel, "provider": saved.provider, **saved.settings})


@door.route("PUT", "/admin/channels/<channel>/offer")
def offer(channel: str) -> Response[str]:
    who = operator(door)
    _check_name(channel)
    body = schemas.read(schemas.OfferRequest, door.body)
    _manage().offer(channel, offered=body.offered, title=body.title)
    logger.info("channel offered", extra={"channel": channel, "offered": body.offered, "operator": who})
    return answer(200, {"channel": channel, **body.model_dump(exclude_none=True)})


def _check_name(channel: str) -> None:
    if not CHANNEL_NAME.fullmatch(channel):
        raise Unprocessable("channel: lower-case letters, digits and dashes, at most 32")


handler = metrics.log_metrics(door.handler)
