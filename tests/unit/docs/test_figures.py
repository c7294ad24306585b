"""The generated figures are what the tables and the transitions say today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_figures_are_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "docs/figures/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr
