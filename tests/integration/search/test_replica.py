"""The replica is created after search has started: the answers of search before and after."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest

from tests.conftest import Database
from tests.integration.lending import Lending, assert_problem


async def test_search_waits_for_the_replica_and_then_prepares_it(
    fresh_lake: Database, fresh_application: Database
) -> None:
    async with fresh_application.connect() as connection:
        for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'credit'"):
            await connection.execute(f"DROP TABLE credit.{row['tablename']}")
    async with Lending.over(fresh_lake, fresh_application) as lending:
        headers = lending.user("auditor").headers
        view = await lending.submitted(lending.user("maker"))
        for path in ("/applications", "/applications?q=nguyen", f"/applications/{view['id']}"):
            assert_problem(await lending.search.get(path, headers=headers), 503)
        # The lake does not depend on the replica.
        from_lake = await lending.search.get(f"/applications/{view['id']}?source=lake", headers=headers)
        assert from_lake.status_code == 200
        ready = await lending.search.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]) == (503, {"replica": "ReplicaNotReady"})

        await lending.make_replica()
        await lending.replicate()
        while (await lending.search.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.2)
        items = (await lending.search.get("/applications?q=nguyen", headers=headers)).json()["items"]
        assert [item["id"] for item in items] == [view["id"]]
        async with fresh_application.connect() as connection:
            wanted = await connection.fetch("SELECT name FROM search.replica_index ORDER BY name")
            indexes = await connection.fetch(
                "SELECT indexname FROM pg_indexes WHERE schemaname = 'credit' AND indexname LIKE 'search%' "
                "ORDER BY indexname"
            )
        assert [row["name"] for row in wanted] == [row["indexname"] for row in indexes]


async def test_the_sink_keeps_the_indexes_without_rights_on_the_schema(
    fresh_lake: Database, fresh_application: Database
) -> None:
    async with Lending.over(fresh_lake, fresh_application) as lending:
        await lending.make_replica()
        async with fresh_application.connect("search") as connection:
            assert await connection.fetchval("SELECT search.prepare_replica()") == []
        async with fresh_application.connect("sink") as connection:
            assert not await connection.fetchval("SELECT has_schema_privilege('search', 'USAGE')")
            await connection.execute(
                "INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision) "
                "VALUES ($1, 'person', 'Lê Thị Mận', $1, now(), 1)",
                uuid.uuid4(),
            )


async def test_only_search_may_have_the_replica_prepared(
    fresh_lake: Database, fresh_application: Database
) -> None:
    async with Lending.over(fresh_lake, fresh_application):
        for login in ("sink", "auth"):
            async with fresh_application.connect(login) as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetchval("SELECT search.prepare_replica()")


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        ("Nguyễn Văn Đạt", "nguyen van dat"),
        # The same name, its marks as characters of their own.
        ("Nguye\u0302\u0303n", "nguyen"),
        ("ĐẶNG đức", "dang duc"),
        ("Ångström-Müller", "angstrom muller"),
        ("a.b@c.de", "a b c de"),
        ("ﬁne", "fine"),
        ("", ""),
        (None, None),
    ],
)
async def test_normalisation(application: Database, value: str | None, normal: str | None) -> None:
    async with application.connect("search") as connection:
        assert await connection.fetchval("SELECT search.normalise($1)", value) == normal
