"""The supervisor's configuration of a program."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.datatypes import dict_of_key_value_pairs

from services.platform.components.component import Program
from services.platform.errors import PlatformError

LOG = Path("/somewhere/a.log")


def parsed(program: Program) -> dict[str, str]:
    """The section as the supervisor reads it, its expansion of % included."""
    parser = ConfigParser(inline_comment_prefixes=(";", "#"), interpolation=None)
    parser.read_string(program.section(LOG))
    return {key: value % {} for key, value in parser[f"program:{program.name}"].items()}


words = st.text(
    st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="\"'"), max_size=20
)


@given(words)
def test_any_value_reaches_the_environment_or_is_refused(value: str) -> None:
    program = Program("a", ("true",), Path("/"), {"VALUE": value, "OTHER": "1"})
    try:
        read = parsed(program)
    except PlatformError:
        assert any(mark in value for mark in (";", "#"))
        return
    assert dict_of_key_value_pairs(read["environment"]) == {"VALUE": value, "OTHER": "1"}


def test_blanks_and_percent_signs_in_a_command_are_kept() -> None:
    program = Program("a", ("/a folder/100%/python", "-m", "x y"), Path("/a folder"))
    assert parsed(program)["command"] == "'/a folder/100%/python' -m 'x y'"
    assert parsed(program)["directory"] == "/a folder"


@pytest.mark.parametrize("value", ["a\nautostart=true", "a ;b", "a #b"])
def test_what_would_change_the_configuration_is_refused(value: str) -> None:
    with pytest.raises(PlatformError, match="cannot carry"):
        Program("a", ("true", value), Path("/")).section(LOG)


def test_both_kinds_of_quotes_are_refused() -> None:
    with pytest.raises(PlatformError, match="quotes"):
        Program("a", ("true",), Path("/"), {"VALUE": "'\""}).section(LOG)
