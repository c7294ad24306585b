"""Compares the catalogue with the dbt project and the guide: `python -m services.analytics.catalogue.check`.

The service reads neither of them. What the catalogue names must be there, and the three must name the same KPIs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.analytics.catalogue.columns import FACTS, SOURCES
from services.analytics.catalogue.conditions import Kind
from services.analytics.catalogue.errors import InvalidCatalogue
from services.analytics.catalogue.model import KPIS, ROOT, Catalogue, read_catalogue
from services.analytics.catalogue.parameters import OUTCOME_MONTHS
from services.chassis.yaml_files.reading import read_document

DBT = ROOT / "dbt"
GUIDE = ROOT / "docs" / "guides" / "kpis.md"

_KINDS: Mapping[str, Kind] = {
    "bigint": Kind.INTEGER,
    "date": Kind.DATE,
    "integer": Kind.INTEGER,
    "numeric": Kind.DECIMAL,
    "timestamp": Kind.INSTANT,
    "varchar": Kind.TEXT,
}
"""What the types of dbt's columns are, without their sizes."""


@dataclass(frozen=True, slots=True)
class Project:
    """What the catalogue is compared with."""

    tables: Mapping[str, Mapping[str, str]]
    """Types of columns, by `schema.table` and column."""
    kpis: frozenset[str]
    """The names that ap.kpi may have."""
    variables: Mapping[str, Any]


def read_project(folder: Path = DBT) -> Project:
    """Read the models of `dm` and `ap` and the variables of a dbt project."""
    tables: dict[str, dict[str, str]] = {}
    kpis: frozenset[str] = frozenset()
    for path in sorted((folder / "models").glob("[ad][pm]/*.yml")):
        for model in _read(path).get("models", ()):
            name = f"{path.parent.name}.{model['name']}"
            tables[name] = {column["name"]: str(column["data_type"]) for column in model["columns"]}
            if name == "ap.kpi":
                kpis = _accepted(model, "kpi")
    return Project(tables, kpis, _read(folder / "dbt_project.yml")["vars"])


def _read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _accepted(model: Mapping[str, Any], column: str) -> frozenset[str]:
    """The values that a column's test accepts, which is how the models say which there are."""
    tests = [one.get("data_tests", ()) for one in model["columns"] if one["name"] == column]
    return frozenset(
        value
        for test in (test for some in tests for test in some)
        if isinstance(test, dict) and "accepted_values" in test
        for value in test["accepted_values"]["arguments"]["values"]
    )


def named_in(guide: str) -> frozenset[str]:
    """The KPIs that a page defines: what is in code marks in the first column of tables with the head `KPI`."""
    found: set[str] = set()
    within = False
    for line in guide.splitlines():
        first = line.split("|")[1].strip() if line.startswith("|") and line.count("|") > 1 else None
        within = first == "KPI" or (within and first is not None)
        if within and first is not None:
            # A column of a table is named after a colon.
            found.update(re.findall(r"`([a-z][a-z0-9_]*)`", first.partition(":")[0]))
    return frozenset(found)


def anchors_of(guide: str) -> frozenset[str]:
    """The anchors of a page's headings, as the documentation's site makes them."""
    headings = re.findall(r"^#{1,6} (.+)$", guide, re.MULTILINE)
    return frozenset(
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings
    )


def faults(catalogue: Catalogue, project: Project, guide: str, folder: Path = KPIS) -> Iterator[str]:
    """What does not agree, one line each."""
    yield from _columns(project)
    if project.variables.get("outcome_months") != OUTCOME_MONTHS:
        yield f"parameters.py: OUTCOME_MONTHS is {OUTCOME_MONTHS}, and the dbt project has another outcome_months"
    in_ap = {name for name, kpi in catalogue.kpis.items() if kpi.source.table == "ap.kpi"}
    yield from _missing("the catalogue", in_ap, "the test of ap.kpi (dbt/models/ap/kpi.yml)", project.kpis)
    yield from _missing("the catalogue", set(catalogue.kpis), "docs/guides/kpis.md", named_in(guide))
    read = {kpi.source.table for kpi in catalogue.kpis.values()}
    yield from (f"no file of the catalogue reads {table}" for table in SOURCES if table not in read)
    anchors = anchors_of(guide)
    for name, kpi in catalogue.kpis.items():
        if kpi.guide.partition("#")[2] not in anchors:
            path = folder / f"{name}.yaml"
            document = read_document(path, path.name, "")
            yield document.fault(("guide",), f"docs/guides/kpis.md has no heading of {kpi.guide!r}", "KPI")


def _columns(project: Project) -> Iterator[str]:
    for name, table in {**FACTS, **SOURCES}.items():
        if name not in project.tables:
            yield f"columns.py: the dbt project has no model {name}"
            continue
        types = project.tables[name]
        for column, kind in table.columns.items():
            if column not in types:
                yield f"columns.py: {name} has no column {column}"
            elif _KINDS.get(types[column].partition("(")[0]) is not kind:
                yield f"columns.py: {name}.{column} is {types[column]}, which is no {kind}"


def _missing(one: str, first: set[str], other: str, second: frozenset[str]) -> Iterator[str]:
    yield from (f"{name}: is in {one} and not in {other}" for name in sorted(first - second))
    yield from (f"{name}: is in {other} and not in {one}" for name in sorted(second - first))


def main() -> int:
    """Print every fault; 1 if there is one."""
    try:
        catalogue = read_catalogue()
    except InvalidCatalogue as error:
        found = str(error).splitlines()
    else:
        found = list(faults(catalogue, read_project(), GUIDE.read_text(encoding="utf-8")))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
