"""`pytest tests/security` runs this folder and, from other folders, the tests that the threat model names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.security.threats import FOLDER, ROOT, threats


def pytest_configure(config: pytest.Config) -> None:
    """Add the tests that hold an attack elsewhere, when nothing but this folder was asked for."""
    if [(ROOT / argument).resolve() for argument in config.args] == [FOLDER]:
        named = {test for threat in threats() for test in threat.tests}
        config.args += sorted(test for test in named if not test.startswith("tests/security/"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many calls the table of access was tried with."""
    calls = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "calls"
    ]
    if calls:
        terminalreporter.write_line(f"table of access: {sum(calls)} calls in {len(calls)} tests")
