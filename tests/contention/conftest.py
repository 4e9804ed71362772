"""Two DynamoDBs to contend on: the local engine's, and AWS's own DynamoDB Local."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cardshop.adapters import stock

from engine.processes import Home
from tests.contention import local_dynamo
from tests.contention.pointing import fresh_tables


@pytest.fixture(scope="session")
def dynamodb_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a DynamoDB Local of this run's own."""
    try:
        with local_dynamo.running(tmp_path_factory.mktemp("dynamodb-local") / "server.log") as endpoint:
            yield endpoint
    except local_dynamo.Missing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(params=["engine", "dynamodb-local"])
def tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The shop's repositories on fresh tables of one of the two; answers which.

    Tables of their own rather than a deployed stack's: a stack would start an execution for every order, and its own
    count_stock would put right what ours got wrong.
    """
    if request.param == "engine":
        home: Home = request.getfixturevalue("home")
        endpoint = home.endpoint
    else:
        endpoint = request.getfixturevalue("dynamodb_local")
        monkeypatch.setattr(stock, "_CARDS_PER_TRANSACTION", local_dynamo.ITEMS_PER_TRANSACTION // 2)
    with fresh_tables(endpoint):
        yield request.param
