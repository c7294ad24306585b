"""The lake/ODS boundary: what is lost, changed or not as it should be is found, kept, and known until it is put right.

The tables of schema ods are made here as dbt makes them: by its login, one row a change, with the hash of the image.
"""

from __future__ import annotations

import warnings
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from services.lake.database import Lake
from services.lake.journal.model import START
from services.lake.tables import CAPTURED
from services.loader.errors import CheckFailed
from services.loader.flows.model import Check, JournalFlow, Target
from services.loader.status import read_status
from services.loader.warehouse import Warehouse
from tests.integration.loader.loading import Loading, lake_flow, party

LAKE = {table.fullname: table for table in CAPTURED}


@pytest.fixture(scope="module")
def quality() -> Any:
    """The module under test; Great Expectations takes seconds to import, and warns while it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from services.loader.quality import reconcile as found  # noqa: PLC0415
    return found


def sql_type(column: sa.Column[Any]) -> str:
    kind = column.type
    if isinstance(kind, sa.Numeric):
        return f"numeric({kind.precision}, {kind.scale})"
    for python, name in ((sa.Integer, "bigint"), (sa.Boolean, "boolean"), (sa.Date, "date")):
        if isinstance(kind, python):
            return name
    return "text"


def typed(target: Target) -> str:
    """The query of the typed copy of a landed table."""
    members = [
        f"coalesce(image::json ->> '{name}', row_key::json ->> {target.keys.index(name)})"
        if name in target.keys
        else f"image::json ->> '{name}'"
        for name in target.columns
    ]
    columns = LAKE[target.source].columns
    casts = [
        f"({member})::{sql_type(columns[name])} AS {name}"
        for member, name in zip(members, target.columns, strict=True)
    ]
    return (
        "SELECT DISTINCT ON (position_major, position_minor) batch_id, position_major, position_minor, operation, "
        "encode(sha256(convert_to(coalesce('=' || image, '~'), 'UTF8')), 'hex') AS image_hash, "
        "NULL::text AS fault_rule, "
        f"{', '.join(casts)} FROM dl.{target.table}"
    )


async def build_ods(loading: Loading) -> None:
    """Bring schema ods to the last batch."""
    async with loading.warehouse.connect("transformer") as dbt:
        await dbt.execute("CREATE TABLE IF NOT EXISTS build.watermark (model text, source text, done bigint)")
        await dbt.execute("DELETE FROM build.watermark")
        for target in loading.flow.targets:
            await dbt.execute(f"DROP TABLE IF EXISTS ods.{target.table}")
            await dbt.execute(f"CREATE TABLE ods.{target.table} AS {typed(target)}")
            await dbt.execute(
                f"INSERT INTO build.watermark SELECT '{target.table}', '{target.table}', "
                f"coalesce(max(batch_id), -1) FROM dl.{target.table}"
            )


async def meddle(loading: Loading, *statements: str) -> None:
    """Spoil schema ods."""
    async with loading.warehouse.connect("transformer") as dbt:
        for statement in statements:
            assert await dbt.execute(statement)


async def check(quality: Any, loading: Loading, flow: JournalFlow | None = None) -> Any:
    lake = Lake.open(loading.lake.url("loader"), service="test", pool_size=2)
    warehouse = Warehouse.open(loading.warehouse.url("loader"), service="test", pool_size=2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return await quality.QualityCheck(flow or loading.flow, lake, warehouse).run(lambda _: None)
    finally:
        await lake.dispose()
        await warehouse.dispose()


def found(checked: Any) -> set[tuple[str, str | None]]:
    return {(table, one.demand.column) for table, one in checked.failed}


async def loaded(loading: Loading, *statements: str) -> None:
    await loading.change(*statements)
    await loading.run()
    await build_ods(loading)


async def failed_checks(loading: Loading) -> int:
    warehouse = Warehouse.open(loading.warehouse.url("loader"), service="test", pool_size=1)
    try:
        return (await read_status(warehouse, {"lake": loading.flow}))[0].failed_checks
    finally:
        await warehouse.dispose()


async def test_what_is_whole_passes_and_is_kept(quality: Any, loading: Loading) -> None:
    await loaded(loading, party(1), party(2, "Trần"), "DELETE FROM credit.party WHERE full_name = 'Trần'")
    checked = await check(quality, loading)
    assert found(checked) == set()
    assert checked.outcomes.keys() == {target.table for target in loading.flow.targets}
    async with loading.warehouse.connect() as owner:
        kept = await owner.fetch(
            "SELECT target, column_name, success, through_batch_id, checked_count FROM dl.quality_result"
        )
    assert len(kept) == sum(map(len, checked.outcomes.values()))
    assert {row["through_batch_id"] for row in kept} == {checked.span.batch_id}
    names = [
        row["checked_count"]
        for row in kept
        if (row["target"], row["column_name"]) == ("credit_party", "full_name")
    ]
    assert names == [1], "of what was deleted there is nothing to look at"

    # Only what is new since is looked at: a fault below would be one of the past.
    await meddle(loading, "DELETE FROM ods.credit_product")
    again = await check(quality, loading)
    assert (again.span.after, again.span.through) == (checked.span.through, checked.span.through)
    assert found(again) == set()


TABLES = ("credit_party", "credit_application", "credit_application_party")
SPOILT: list[tuple[str, set[tuple[str, str | None]]]] = [
    (
        "DELETE FROM ods.credit_party WHERE operation = 'u'",
        {("credit_party", "changes"), ("credit_party", "checksum")},
    ),
    (
        "UPDATE ods.credit_party SET image_hash = repeat('0', 64) WHERE operation = 'u'",
        {("credit_party", "checksum")},
    ),
    (
        "INSERT INTO ods.credit_party SELECT * FROM ods.credit_party WHERE operation = 'u'",
        {("credit_party", "changes"), ("credit_party", "checksum"), ("credit_party", "id")},
    ),
    (
        "UPDATE ods.credit_party SET created_at = NULL, kind = 'robot' WHERE operation = 'u'; "
        "UPDATE ods.credit_application_party SET party_id = 'nobody'; "
        # Not the newest state: it was corrected.
        "UPDATE ods.credit_party SET revision = 0 WHERE operation = 'c'",
        {
            ("credit_party", "created_at"),
            ("credit_party", "kind"),
            ("credit_application_party", "party_id_orphans"),
        },
    ),
    ("ALTER TABLE ods.credit_party DROP COLUMN email", {("credit_party", "missing_columns")}),
]


@pytest.fixture
async def applied(loading: Loading) -> Loading:
    """Loaded: a party that was changed since, and an application in which it takes part."""
    wanted = [one for one in loading.flow.targets if one.table in TABLES]
    checks = (
        Check(column="kind", one_of=("person",), when="after"),
        Check(column="revision", min=1, when="after"),
    )
    targets = [
        one.model_copy(update={"checks": checks}) if one.table == "credit_party" else one for one in wanted
    ]
    loading.flow = lake_flow(targets=tuple(targets))
    await loaded(
        loading,
        party(1),
        "UPDATE credit.party SET full_name = 'Lê', revision = 2",
        "INSERT INTO credit.application (id, state, revision, created_by, created_at) "
        "VALUES (md5('a')::uuid, 'DRAFT', 1, md5('me')::uuid, now()::timestamp)",
        "INSERT INTO credit.application_party VALUES (md5('a')::uuid, md5('1')::uuid, 'borrower')",
    )
    return loading


async def test_what_is_spoilt_is_found_and_known_until_it_is_put_right(
    quality: Any, applied: Loading
) -> None:
    assert found(await check(quality, applied)) == set()
    async with applied.warehouse.connect() as owner:
        await owner.execute("DELETE FROM dl.quality_result")
    for statement, findings in SPOILT:
        await meddle(applied, statement)
        assert found(await check(quality, applied)) == findings, statement
        assert await failed_checks(applied) == len(findings)
        async with applied.warehouse.connect() as owner:
            told = await owner.fetchval("SELECT string_agg(details, ' ') FROM dl.quality_result")
        assert not [word for word in ("Lê", "robot", "nobody") if word in (told or "")], "values are personal"
        await build_ods(applied)
        assert found(await check(quality, applied)) == set()
        assert await failed_checks(applied) == 0
        async with applied.warehouse.connect() as owner:
            await owner.execute("DELETE FROM dl.quality_result")


async def test_what_is_set_aside_ends_no_check_and_is_shown(quality: Any, applied: Loading) -> None:
    async with applied.warehouse.connect("transformer") as dbt:
        # As dbt leaves a change that it sets aside: there with its hash, of its members the key alone.
        await dbt.execute(
            "UPDATE ods.credit_party SET fault_rule = 'required', full_name = NULL, kind = NULL"
        )
        await dbt.execute(
            "CREATE TABLE ods.quarantine AS SELECT 'credit_party' AS table_name, row_key, "
            "NULL::timestamp AS resolved_at FROM dl.credit_party"
        )
    checked = await check(quality, applied)
    # Nothing is lost, the parent has arrived, and what it is not said to be is not looked at.
    assert found(checked) == set()
    warehouse = Warehouse.open(applied.warehouse.url("loader"), service="test", pool_size=1)
    try:
        (status,) = await read_status(warehouse, {"lake": applied.flow})
        # One row, of which two changes were set aside.
        assert status.set_aside == {"credit_party": 1, "credit_application": 0, "credit_application_party": 0}
        assert status.as_json()["set_aside"]["credit_party"] == 1
        async with applied.warehouse.connect("transformer") as dbt:
            await dbt.execute("UPDATE ods.quarantine SET resolved_at = now()")
        (status,) = await read_status(warehouse, {"lake": applied.flow})
        assert set(status.set_aside.values()) == {0}
    finally:
        await warehouse.dispose()
        async with applied.warehouse.connect("transformer") as dbt:
            await dbt.execute("DROP TABLE ods.quarantine")


async def test_what_one_row_does_wrong_ends_no_check(quality: Any, applied: Loading) -> None:
    """The rules may be others than when it was typed."""
    await meddle(applied, "UPDATE ods.credit_party SET kind = 'robot' WHERE operation = 'u'")
    checked = await check(quality, applied)
    assert found(checked) == {("credit_party", "kind")}
    assert checked.errors == 0
    await meddle(applied, "DELETE FROM ods.credit_party WHERE operation = 'c'")
    assert (await check(quality, applied)).errors == 2, "a change that is lost makes every number doubtful"


async def test_what_dbt_has_not_built_yet_is_not_missed(quality: Any, applied: Loading) -> None:
    before = await check(quality, applied)
    await applied.change(party(7))
    await applied.run()
    behind = await check(quality, applied)
    assert (found(behind), behind.span.batch_id) == (set(), before.span.batch_id)
    await build_ods(applied)
    async with applied.warehouse.connect() as owner:
        await owner.execute(
            "UPDATE dl.batch SET incarnation = md5('x')::uuid WHERE batch_id = $1", before.span.batch_id
        )
    caught_up = await check(quality, applied)
    assert caught_up.span.batch_id > before.span.batch_id
    assert caught_up.span.after == START, "where the last check ended is a place of another journal"


async def test_a_source_that_nobody_has_loaded_from_for_too_long_is_stale(
    quality: Any, applied: Loading
) -> None:
    async with applied.warehouse.connect() as owner:
        await owner.execute("UPDATE dl.watermark SET checked_at = checked_at - interval '61 minutes'")
    checked = await check(quality, applied)
    assert checked.errors == 0, "what is old is whole all the same"
    stale = found(checked)
    assert {column for _, column in stale} == {"minutes_since_load"}
    assert {table for table, _ in stale} == {target.table for target in applied.flow.targets}


async def test_the_command_says_what_it_found_and_fails(quality: Any, loading: Loading) -> None:
    with pytest.raises(CheckFailed, match="nothing is loaded yet"):
        await check(quality, loading)
    await loading.change(party(1))
    await loading.run()
    with pytest.raises(CheckFailed, match="holds no batch of it yet; build it first"):
        await check(quality, loading)
    await build_ods(loading)
    await meddle(loading, "DELETE FROM ods.credit_party")
    process = await loading.command("check", "lake")
    output, errors = await process.communicate()
    report = orjson.loads(output.splitlines()[-1])
    assert (process.returncode, report["flow"], report["failed"], report["errors"]) == (1, "lake", 2, 2), (
        errors
    )
    assert "journal_changes 1" in errors.decode()
    assert await failed_checks(loading) == 2
