"""The committed init SQL is what the migrations and tables make today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
