"""How PostgreSQL would run each incremental model on a large portfolio: no table is compared row by row with another.

The tables are those of the small portfolio; the planner is told that they have the rows of 100,000 applications. What
it makes of that is checked by the shape of its plans, not by its estimates: where these are wrong, a nested loop is
what makes a build take hours.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from tests.warehouse.compiling import compiled
from tests.warehouse.conftest import Warehouse
from tests.warehouse.forks import Forks

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

APPLICATIONS = 100_000
AFFECTED = (500, 11_000, 60_000)
# Tables that do not grow with the portfolio.
CONSTANT = {
    *("watermark", "partition_version", "partition_read", "model_state"),
    *("snapshot_calendar", "reporting_date", "score_bins", "dim_date"),
    *("hub_product", "sat_product", "dim_product", "credit_product"),
    *("link_product_parameters", "sat_product_parameters", "credit_product_parameters"),
    *("hub_approval_band", "sat_approval_band", "credit_approval_band"),
}
Plan = Mapping[str, Any]


def nodes(plan: Plan) -> Iterator[Plan]:
    """A node of a plan and all below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def inputs(plan: Plan) -> list[Plan]:
    """The plans that a node takes rows from: without those that are run once beside it, and those only looked into."""
    found = [
        one for one in plan.get("Plans", ()) if one.get("Parent Relationship") not in {"InitPlan", "SubPlan"}
    ]
    join = plan.get("Join Type", "")
    if join.endswith(("Semi", "Anti")):
        return found[1:] if join.startswith("Right") else found[:1]
    return found


def read_rows(plan: Plan, ctes: Mapping[str, Plan]) -> Iterator[Plan]:
    """The scans that a node's rows come from, through common table expressions too."""
    if plan["Node Type"] == "CTE Scan":
        yield from read_rows(ctes[f"CTE {plan['CTE Name']}"], ctes)
    elif below := inputs(plan):
        for one in below:
            yield from read_rows(one, ctes)
    else:
        yield plan


def grows(plan: Plan, ctes: Mapping[str, Plan], constant: Collection[str]) -> bool:
    """Whether a node has more rows the larger the portfolio is."""
    return any(
        "Relation Name" in scan and scan["Relation Name"] not in constant for scan in read_rows(plan, ctes)
    )


def looked_up(plan: Plan) -> bool:
    """Whether the inner side of a nested loop is found by an index for each row of the outer one."""
    own = {one["Alias"] for one in nodes(plan) if "Alias" in one}
    for one in nodes(plan):
        condition = one.get("Index Cond", "") + one.get("Cache Key", "")
        names = {part.rpartition("(")[2].strip("(") for part in condition.replace('"', "").split(".")[:-1]}
        names = {name.split()[-1] for name in names if name.split()}
        if names - own:
            return True
    return False


def whole_loops(plan: Plan, constant: Collection[str]) -> list[str]:
    """The nested loops that go through rows of one growing relation for each row of another."""
    ctes = {one["Subplan Name"]: one for one in nodes(plan) if one.get("Subplan Name", "").startswith("CTE ")}
    found = []
    for one in nodes(plan):
        if one["Node Type"] == "Nested Loop":
            outer, inner = (
                below for below in one["Plans"] if below["Parent Relationship"] in {"Outer", "Inner"}
            )
            if grows(outer, ctes, constant) and grows(inner, ctes, constant) and not looked_up(inner):
                found.append(f"{one.get('Join Type')} join by {one.get('Join Filter', 'no condition')}")
        found += [
            f"{beside.get('Subplan Name')} of {one['Node Type']}"
            for beside in one.get("Plans", ())
            # A subquery that is run for each row, and neither hashed nor looked up.
            if beside.get("Parent Relationship") == "SubPlan" and grows(beside, ctes, constant)
            if "hashed" not in json.dumps(one) and not looked_up(beside)
        ]
    return found


async def pretend(connection: asyncpg.Connection[asyncpg.Record]) -> Collection[str]:
    """Tell the planner that every table which grows has the rows of APPLICATIONS; give the tables that do not grow.

    Those in which the portfolio has nothing, or a ghost record alone, stay as they are and belong to them.
    """
    await connection.execute("ANALYZE")
    there = await connection.fetchval("SELECT count(*) FROM dw.hub_application")
    await connection.execute(
        "SELECT pg_restore_relation_stats('schemaname', n.nspname::text, 'relname', c.relname::text, "
        "'relpages', c.relpages, 'reltuples', (c.reltuples * $1)::real) "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_index AS i ON i.indexrelid = c.oid LEFT JOIN pg_class AS t ON t.oid = i.indrelid "
        "WHERE n.nspname IN ('dl', 'ods', 'dw', 'dm', 'ap') AND c.relkind IN ('r', 'i') AND c.reltuples > 0 "
        "AND coalesce(t.reltuples, c.reltuples) > 1 AND NOT coalesce(t.relname, c.relname) = ANY($2)",
        APPLICATIONS / there,
        list(CONSTANT),
    )
    empty = await connection.fetch(
        "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('dl', 'ods', 'dw', 'dm', 'ap') AND c.relkind = 'r' AND c.reltuples <= 1 "
        "AND NOT c.relname LIKE 'affected%'"
    )
    return CONSTANT | {row["relname"] for row in empty}


async def note_affected(connection: asyncpg.Connection[asyncpg.Record], count: int) -> None:
    """Have every renewed model be about `count` keys."""
    for row in await connection.fetch(
        "SELECT t.table_name AS name, c.column_name AS since FROM information_schema.tables AS t "
        "LEFT JOIN information_schema.columns AS c ON c.table_schema = t.table_schema "
        "AND c.table_name = t.table_name AND c.column_name = 'since' "
        "WHERE t.table_schema = 'build' AND t.table_name LIKE 'affected%'"
    ):
        since = ", date '2026-01-01'" if row["since"] else ""
        await connection.execute(
            f"INSERT INTO build.{row['name']} SELECT encode(sha256(n::text::bytea), 'hex'){since} "
            f"FROM generate_series(1, {count}) AS n"
        )
        await connection.execute(f"ANALYZE build.{row['name']}")


@pytest.fixture(scope="module")
async def statements(
    built: Warehouse, forks: Forks, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What an incremental build runs for each model: its body, and how it finds the keys that it is about."""
    models, hooks = await compiled(
        forks,
        tmp_path_factory.mktemp("plans"),
        incremental=True,
        target="embedded",
        WAREHOUSE_DATABASE=built.database.name,
    )
    manifest = json.loads(next(built.folder.rglob("manifest.json")).read_text())
    names = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "incremental"
    }
    found = {name: models[name] for name in names}
    for name, text in hooks.items():
        for one in text.split(";"):
            if "insert into build.affected_" in one and name.split(":")[0] in names:
                found[name] = one
    return found


@pytest.mark.parametrize("count", AFFECTED)
async def test_no_incremental_model_loops_over_a_whole_table(
    built: Warehouse, statements: dict[str, str], count: int
) -> None:
    assert len(statements) > 70
    assert sum("insert into build.affected_" in one for one in statements.values()) > 10
    loops = {}
    async with built.database.connect() as connection:
        transaction = connection.transaction()
        await transaction.start()
        constant = await pretend(connection)
        await note_affected(connection, count)
        for name, statement in sorted(statements.items()):
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}"))[0]["Plan"]
            if found := whole_loops(plan, constant):
                loops[name] = found
        await transaction.rollback()
    assert loops == {}


async def test_a_loop_over_a_whole_table_is_seen(built: Warehouse) -> None:
    filtered = (
        "(SELECT f.application_hk, row_number() OVER (PARTITION BY f.application_hk ORDER BY f.created_at) AS n "
        "FROM dm.fact_decision AS f)"
    )
    by_comparing = (
        f"SELECT 1 FROM {filtered} AS a JOIN {filtered} AS b ON a.application_hk < b.application_hk"
    )
    by_index = (
        "SELECT 1 FROM build.affected_fact_decision AS a "
        "JOIN dm.fact_decision AS f ON f.application_hk = a.affected_key"
    )
    async with built.database.connect() as connection:
        transaction = connection.transaction()
        await transaction.start()
        constant = await pretend(connection)
        await note_affected(connection, 500)
        for query, seen in ((by_comparing, True), (by_index, False)):
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}"))[0]["Plan"]
            assert any(one["Node Type"] == "Nested Loop" for one in nodes(plan)) or not seen
            assert bool(whole_loops(plan, constant)) == seen
        await transaction.rollback()
