"""The code is laid out so that a newcomer finds their way: small files and folders, no circles, a neutral chassis."""

import graphlib
import re
from collections import Counter
from functools import cache
from pathlib import Path

import grimp
import pytest

from services.lake import ownership
from services.lake.tables import metadata
from services.loader.landing import interface as landing

ROOT = Path(__file__).resolve().parents[2]
MOST_FILES = 14
"""Python files in one folder."""
MOST_LINES = 400
"""Lines of one Python file: what a person reads in one sitting."""


def sources(folder: str) -> list[Path]:
    """The project's own Python files below a folder."""
    return sorted(
        path
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts)
    )


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("services", include_external_packages=False)


def test_no_folder_has_more_files_than_a_person_surveys() -> None:
    # Migrations are a log: one more with every change of the tables, and nobody surveys them.
    counted = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for path in sources("services")
        if path.parent.name != "versions"
    )
    assert len(counted) > 30
    assert {folder: files for folder, files in counted.items() if files > MOST_FILES} == {}


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    folders = ("services", "tests", "deploy", "dbt/", "airflow", "docs")
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in sources(folder)
    }
    assert len(lines) > 400
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_modules_import_each_other() -> None:
    graph = import_graph()
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"these import each other: {' → '.join(error.args[1])}")
    assert len(order) == len(graph.modules)


def foreign_names() -> frozenset[str]:
    """Names of services, of schemas and of logins: what the chassis stands below, and must not know."""
    services = {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}
    schemas = {str(table.schema) for table in metadata.tables.values()} | {
        "dl",
        "replication",
        *landing.TRANSFORMED,
    }
    logins = {
        *ownership.READERS,
        *ownership.DEFINITION_READERS,
        landing.LOADER,
        landing.TRANSFORMER,
        landing.ANALYST,
    }
    # A verifier of tokens is a thing of the chassis; the login of this name compares databases. To build is a verb too.
    own = {"chassis", "platform", "cli", "__pycache__", "verifier", "build"}
    return frozenset(services | schemas | logins) - own


@pytest.mark.parametrize("path", sources("services/chassis"), ids=lambda path: path.stem)
def test_the_chassis_names_no_service_no_schema_and_no_login(path: Path) -> None:
    # `re.search` and the like are no name of ours.
    text = path.read_text(encoding="utf-8").replace(".search(", "(")
    named = re.findall(rf"\b({'|'.join(sorted(foreign_names()))})\b", text)
    assert named == []
