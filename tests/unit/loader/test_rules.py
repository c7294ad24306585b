"""The rules by which dbt sets rows aside: generated from the flow files and the lake's tables, and current."""

from __future__ import annotations

import re

from services.lake.tables import CAPTURED
from services.loader.flows.files import FLOWS, ROOT, read_flow
from services.loader.flows.model import Check, JournalFlow, Target
from services.loader.quality.rules import rules_of


def test_every_column_that_the_lake_requires_is_required() -> None:
    flow = read_flow(FLOWS / "lake.yaml")
    assert isinstance(flow, JournalFlow)
    assert {target.source for target in flow.targets} == {table.fullname for table in CAPTURED}
    for table, target in zip(CAPTURED, flow.targets, strict=True):
        rules = rules_of(target)
        required = {column.name for column in table.columns if not column.nullable}
        assert {*rules["keys"], *rules["required"]} == required & set(target.columns)


def test_what_the_vault_joins_by_is_required() -> None:
    """A link or hub of a key with a NULL in it would point to nothing."""
    flow = read_flow(FLOWS / "lake.yaml")
    assert isinstance(flow, JournalFlow)
    targets = {
        target.table: {*rules_of(target)["keys"], *rules_of(target)["required"]} for target in flow.targets
    }
    links = list((ROOT / "dbt/models/dw/raw_vault").glob("link_*.sql"))
    assert len(links) == 11
    for path in links:
        called = path.read_text(encoding="utf-8").partition("{{ link(")[2].partition("kept=")[0]
        table = re.findall(r"'(credit_\w+)'", called)[0]
        joined = {
            name for part in re.findall(r"\[([^]]*)\]", called) for name in re.findall(r"'(\w+)'", part)
        }
        assert joined, path
        assert joined <= targets[table], path.stem


def test_bounds_are_exact_and_a_warning_sets_nothing_aside() -> None:
    target = Target(
        source="t",
        table="t",
        keys=("id",),
        columns=("id", "rate", "kind"),
        checks=(
            Check(column="rate", min="0.000000000000000000001", max=1, when="after"),  # type: ignore[arg-type]
            Check(column="kind", not_null=True, max_length=2, one_of=("a", "b'c")),
            Check(column="rate", min=5, severity="warning"),  # type: ignore[arg-type]
        ),
    )
    rules = rules_of(target)
    assert rules["required"] == ["kind"]
    assert [(rule["kind"], rule.get("bound") or rule["values"]) for rule in rules["checks"]] == [
        ("min", "0.000000000000000000001"),
        ("max", "1"),
        ("one_of", ["a", "b'c"]),
        ("max_length", "2"),
    ]
