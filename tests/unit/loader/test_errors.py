"""What a command of the loader says when a database fails: whether to try again, or to read on."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from services.loader.errors import what_failed


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (
            DBAPIError("SELECT", {}, asyncpg.CannotConnectNowError("the database system is starting up")),
            "cannot serve at the moment; the same command may succeed later",
        ),
        (
            DBAPIError(
                "INSERT", {}, Exception("25000", "[25000] [Microsoft]read-only. (3906) (SQLExecDirectW)")
            ),
            "cannot serve at the moment; the same command may succeed later",
        ),
        (
            ConnectionRefusedError(111, "refused"),
            "cannot serve at the moment; the same command may succeed later",
        ),
        (
            DBAPIError("SELECT", {}, asyncpg.UndefinedTableError("no dl.batch")),
            "refused a statement; the same command will fail again",
        ),
    ],
)
def test_a_failure_says_whether_to_try_again(error: Exception, meaning: str) -> None:
    said = what_failed(error)
    assert said.startswith(meaning)
    assert type(error).__name__ in said
    assert "\n" not in said
