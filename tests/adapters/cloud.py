"""AWS simulated in this process, with the shop's tables as `template.yaml` defines them."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.loaders
import pytest
from cardshop.adapters import aws, settings, tables
from cardshop.adapters.aws import client
from moto import mock_aws
from moto.core.exceptions import AWSError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.kms import models as kms
from moto.kms.utils import generate_private_key
from moto.stepfunctions.models import StepFunctionBackend

from tests.contention.pointing import MODELS
from tests.template.cloudformation import of_type

#: AWS's own descriptions of its services: worth keeping from test to test.
_DESCRIPTIONS = botocore.loaders.create_loader()
#: moto makes a key pair for every key, which ours, being symmetric, never use: one for all.
_KEY_PAIR = cache(generate_private_key)
_DEFINITION = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
TABLES = of_type("AWS::DynamoDB::Table")
_REGION = "us-east-1"


@contextmanager
def cloud() -> Iterator[None]:
    """A cloud of this test's own: empty tables, and no client, connection or setting of an earlier one."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in [name for name in os.environ if name.startswith(("AWS_ENDPOINT_URL", "AWS_PROFILE"))]:
            patch.delenv(name)
        patch.setenv("AWS_DEFAULT_REGION", _REGION)
        patch.setattr(kms, "generate_private_key", _KEY_PAIR)
        forget()
        aws.session().register_component("data_loader", _DESCRIPTIONS)
        _dynamodb().tables = copy.deepcopy(_empty_tables())
        yield
        forget()


def _dynamodb() -> DynamoDBBackend:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID][_REGION]


@cache
def _empty_tables() -> dict[str, Any]:
    """Made by calls once: copying them takes a hundredth of the time."""
    for name, definition in TABLES.items():
        client("dynamodb").create_table(
            TableName=table_name(name), **{key: definition[key] for key in _DEFINITION if key in definition}
        )
    return _dynamodb().tables


def forget() -> None:
    """Drop what the adapters keep for the life of a process."""
    aws.session.cache_clear()
    aws.client.cache_clear()
    tables._Shared._shared = None
    for model in tables._Shared.__subclasses__():
        model._connection = None
    forget_settings()


def forget_settings() -> None:
    """Drop the secrets and parameters that were read."""
    settings.ssm.cache_clear()
    settings._urls.cache_clear()
    settings._secrets_manager.cache_clear()


def table_name(resource: str) -> str:
    return str(MODELS[resource].Meta.table_name)


def items(resource: str) -> list[dict[str, Any]]:
    """Everything in a table, in DynamoDB's own JSON."""
    return list(client("dynamodb").scan(TableName=table_name(resource))["Items"])


def kms_key() -> str:
    return str(client("kms").create_key()["KeyMetadata"]["Arn"])


def lose_keys() -> None:
    """Let KMS know none of its keys any more."""
    for account in kms.kms_backends.values():
        for region in account.values():
            region.keys.clear()


def secret(name: str, *values: str) -> str:
    """A secret that has had these values, the last one its current."""
    manager = client("secretsmanager")
    arn = str(manager.create_secret(Name=name, SecretString=values[0])["ARN"])
    for value in values[1:]:
        manager.put_secret_value(SecretId=arn, SecretString=value)
    return arn


def queue(name: str) -> str:
    return str(client("sqs").create_queue(QueueName=name)["QueueUrl"])


def messages(url: str) -> list[dict[str, Any]]:
    """What lies in a queue (and is hidden from the next reader)."""
    found = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    return list(found.get("Messages", []))


def state_machine() -> str:
    made = client("stepfunctions").create_state_machine(
        name="trade",
        definition='{"StartAt":"Wait","States":{"Wait":{"Type":"Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/machine",
    )
    return str(made["stateMachineArn"])


def executions(machine: str) -> list[str]:
    """The names of a machine's executions."""
    found = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    return sorted(each["name"] for each in found)


class Waiting(set[str]):
    """The task tokens that a state waits with; moto itself takes any."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.refusal = "TaskTimedOut"
        self.failed: list[tuple[str, str]] = []  # (token, error)
        patch.setattr(StepFunctionBackend, "send_task_success", lambda _, token, output: self._end(token))
        patch.setattr(StepFunctionBackend, "send_task_failure", lambda _, token, error=None: self._fail(token, error))

    def _end(self, token: str) -> None:
        if token not in self:
            raise AWSError("no state waits with this token", self.refusal)
        self.remove(token)

    def _fail(self, token: str, error: str) -> None:
        self._end(token)
        self.failed.append((token, error))
