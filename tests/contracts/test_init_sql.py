"""The committed init SQL is what the migrations and tables make today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from services.lake.journal.capture import captured_table
from services.lake.journal.model import CapturedTable
from services.lake.tables import CAPTURED

ROOT = Path(__file__).parents[2]


def test_the_init_sql_is_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "deploy/databases/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


def test_the_definitions_in_the_init_sql_are_those_that_images_are_read_by() -> None:
    text = (ROOT / "deploy/databases/lake.sqlserver.sql").read_text(encoding="utf-8")
    written = re.findall(
        r"(?m)^INSERT INTO journal\.captured_table .*? N'(\{.*\})', SYSUTCDATETIME\(\)", text
    )
    assert [CapturedTable.from_json(definition.replace("''", "'")) for definition in written] == [
        captured_table(table) for table in CAPTURED
    ]


def test_days_are_no_instants_on_sql_server() -> None:
    text = (ROOT / "deploy/databases/lake.sqlserver.sql").read_text(encoding="utf-8")
    assert re.search(r"birth_date DATE NULL", text)
    assert not re.search(r"\bDATETIME\b", text)
