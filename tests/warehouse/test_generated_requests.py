"""Generated requests by each role against analytics: no 5xx, and no answer that the document does not declare."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.lake.domain.roles import Role
from tests.api.fuzzing import check, listening
from tests.conftest import new_database
from tests.warehouse.conftest import Warehouse
from tests.warehouse.serving import TOKENS, api, publication

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Served:
    """Where analytics listens, and names of things in it."""

    base: str
    known: Mapping[str, str]


@pytest.fixture(scope="module")
async def served(built: Warehouse) -> AsyncIterator[Served]:
    """Analytics over a published warehouse, on a port."""
    async with new_database(built.database.platform, "warehouse", built.database.name) as database:
        await Warehouse(database, built.folder, built.batches).forget_other_runs()
        await publication(database)
        async with api(database) as client:
            transport = client._transport
            assert isinstance(transport, httpx.ASGITransport)
            app: Any = transport.app
            async with listening(app) as base:
                yield Served(base, {"kpi": "par_30", "page": "portfolio"})


async def test_case_32_short(served: Served, tmp_path: Path) -> None:
    await check(
        "analytics",
        served.base,
        tmp_path,
        tokens=TOKENS,
        role=Role.AUDITOR,
        examples=2,
        phases="fuzzing",
        known=served.known,
    )


@pytest.mark.long
@pytest.mark.parametrize("known", [True, False], ids=["known", "generated"])
@pytest.mark.parametrize("role", list(Role))
async def test_case_32_every_role_at_analytics(
    served: Served, role: Role, known: bool, tmp_path: Path
) -> None:
    await check(
        "analytics",
        served.base,
        tmp_path,
        tokens=TOKENS,
        role=role,
        examples=10,
        phases="examples,fuzzing,stateful",
        known=served.known if known else None,
    )
