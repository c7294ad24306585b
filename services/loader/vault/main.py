"""Write what is generated of the dbt project, and the columns of the lake's flow file.

Of dbt these are the models of ods and the raw vault, and the rules of ods.

    python -m services.loader.vault.main [--check]

With --check nothing is written: it ends with 1 and names the files that are out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from services.lake.journal.capture import captured_table
from services.lake.tables import CAPTURED
from services.loader.errors import InvalidMapping
from services.loader.flows.files import FLOWS, ROOT, read_flows
from services.loader.flows.model import DbtFlow, LoadFlow
from services.loader.quality import rules
from services.loader.vault.flow import with_columns
from services.loader.vault.mapping import Warehouse, join_tables, read_mapping
from services.loader.vault.models import statements
from services.loader.vault.properties import properties

PROJECT = ROOT / "dbt"
MAPPING = PROJECT / "vault.yml"
MODELS = PROJECT / "models"
LAKE = FLOWS / "lake.yaml"
FOLDERS = ("ods", "dw/raw_vault")
"""Folders of models in which every file is generated."""


def read_warehouse(flows: dict[str, LoadFlow | DbtFlow], mapping: Path = MAPPING) -> Warehouse:
    """Read everything that models are generated from.

    Raises:
        InvalidMapping: the mapping is not valid, or does not fit the lake's tables.
    """
    landings = {
        target.source: target.table
        for flow in flows.values()
        if not isinstance(flow, DbtFlow)
        for target in flow.targets
    }
    return join_tables(read_mapping(mapping), CAPTURED, landings)


def generated() -> dict[Path, str]:
    """Give every generated file of the project with its text.

    Raises:
        InvalidMapping: the mapping is not valid, or does not fit the lake's tables.
    """
    flows = dict(read_flows(FLOWS))
    warehouse = read_warehouse(flows)
    return {
        **{MODELS / f"{path}.sql": text for path, text in statements(warehouse)},
        **{MODELS / f"{path}.yml": text for path, text in properties(warehouse)},
        rules.FILE: rules.macro(flows),
        LAKE: with_columns(
            LAKE.read_text(encoding="utf-8"),
            {
                captured.full_name: [column.name for column in captured.columns]
                for captured in map(captured_table, CAPTURED)
            },
        ),
    }


def outdated(files: dict[Path, str], models: Path = MODELS) -> list[Path]:
    """Give the files that are missing, differ, or lie in a generated folder and are not generated."""
    there = {path for folder in FOLDERS for path in (models / folder).iterdir()}
    differing = {
        path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    return sorted(differing | (there - files.keys()))


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, then write or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args(arguments).check
    try:
        files = generated()
    except InvalidMapping as problem:
        print(problem, file=sys.stderr)
        return 2
    stale = outdated(files)
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is out of date; run `make dbt-models`", file=sys.stderr)
        elif path in files:
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
