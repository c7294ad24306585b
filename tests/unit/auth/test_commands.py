import io
import stat
from pathlib import Path

import pytest

from services.auth.commands import InvalidUsers, described, parse_users, password_from
from services.lake.domain.roles import Role


def test_a_generated_password_goes_into_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "password"

    password = password_from(file)

    assert file.read_text() == password + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(password) >= 20
    with pytest.raises(FileExistsError):
        password_from(file)


def test_a_password_is_the_first_line_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\nmore"))

    assert password_from(None) == "correct horse battery"


def test_users_are_read_from_json() -> None:
    (user,) = parse_users(
        b'[{"username": "ann", "display_name": "Ann", "roles": ["maker"], "password": "correct horse battery"}]'
    )

    assert (user.username, user.roles, user.password) == (
        "ann",
        frozenset({Role.MAKER}),
        "correct horse battery",
    )


@pytest.mark.parametrize("text", [b"", b"{}", b'[{"username": "ann"}]', b'[{"username": 1, "roles": []}]'])
def test_what_describes_no_users_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidUsers):
        parse_users(text)


def test_faults_are_named_and_the_password_is_not() -> None:
    with pytest.raises(InvalidUsers) as refused:
        described("a b", None, [Role.MAKER], "short-one")

    assert "username" in str(refused.value)
    assert "password" in str(refused.value)
    assert "short-one" not in str(refused.value)
