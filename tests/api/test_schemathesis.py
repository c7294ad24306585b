"""Generated requests by each role against each service: no 5xx, and no answer that the document does not declare."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.lake.domain.roles import Role
from tests.api.fuzzing import check, listening
from tests.conftest import Database
from tests.integration.lending import Lending

SERVICES = ("intake", "approval", "search")


@dataclass(frozen=True)
class Served:
    """The services, where each listens, and ids of things in them."""

    lending: Lending
    bases: Mapping[str, str]
    known: Mapping[str, str]


@pytest.fixture(scope="module")
async def served(lake: Database, application: Database) -> AsyncIterator[Served]:
    """The services, each on a port, with a loan and an application that waits."""
    async with Lending.over(lake, application) as lending, AsyncExitStack() as stack:
        loan = await lending.booked()
        waiting = await lending.submitted(lending.user("maker"))
        await lending.make_replica()
        await lending.replicate()
        bases = {}
        for service in SERVICES:
            client: httpx.AsyncClient = getattr(lending, service)
            transport = client._transport
            assert isinstance(transport, httpx.ASGITransport)
            app: Any = transport.app
            bases[service] = await stack.enter_async_context(listening(app))
        known = {"application_id": waiting["id"], "loan_id": loan["loan_id"]}
        yield Served(lending, bases, known | {"party_id": waiting["parties"][0]["party_id"]})


@pytest.mark.parametrize(
    ("service", "role"), [("intake", Role.MAKER), ("approval", Role.OFFICER), ("search", Role.AUDITOR)]
)
async def test_case_32_short(served: Served, service: str, role: Role, tmp_path: Path) -> None:
    tokens = served.lending.tokens
    await check(
        service, served.bases[service], tmp_path, tokens=tokens, role=role, examples=2, phases="fuzzing"
    )


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("known", [True, False], ids=["known", "generated"])
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("service", SERVICES)
async def test_case_32_every_role_at_every_service(
    served: Served, service: str, role: Role, known: bool, tmp_path: Path
) -> None:
    await check(
        service,
        served.bases[service],
        tmp_path,
        tokens=served.lending.tokens,
        role=role,
        examples=10,
        phases="examples,fuzzing,stateful",
        known=served.known if known else None,
    )
