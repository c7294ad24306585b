"""The command line's own rules: profiles, the session's file, what is printed, what a refusal says."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from services.cli.client import profiles
from services.cli.client.connection import Connection
from services.cli.client.errors import NotLoggedIn, OtpRequired, Refused, Unavailable, WrongUsage
from services.cli.client.output import Output, show, show_one
from services.cli.client.sessions import SessionStore, Tokens
from services.cli.commands.applications import _last_line, _tell
from services.platform.settings import ROOT

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test, and no keyring."""
    monkeypatch.setenv("CREDITMESH_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return tmp_path / "config"


def connection(answer: Answer) -> Connection:
    return Connection("local", httpx.MockTransport(answer))


def logged_in(seconds: float = 600) -> SessionStore:
    store = SessionStore("local")
    store.write(Tokens("maker1", "access", "refresh", time.time() + seconds))
    return store


def token(name: str) -> httpx.Response:
    body = {"access_token": f"access {name}", "refresh_token": f"refresh {name}", "expires_in": 600}
    return httpx.Response(200, json=body)


def test_a_session_is_in_a_file_that_nobody_else_reads(config: Path) -> None:
    store = logged_in()
    (file,) = (config / "sessions").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((config / "sessions").stat().st_mode) == 0o700
    kept = store.read()
    assert kept is not None
    assert (kept.access, kept.is_fresh) == ("access", True)
    file.write_text("no JSON")
    assert store.read() is None
    store.remove()
    assert not file.exists()


class Ring(KeyringBackend):
    """A keyring that can be locked."""

    priority = 1

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked("locked")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def test_the_newest_tokens_count_when_the_keyring_was_locked_for_a_while(config: Path) -> None:
    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    try:
        store = logged_in(seconds=10)
        assert not (config / "sessions").exists()
        ring.locked = True
        store.write(Tokens("maker1", "newer", "newer", time.time() + 600))
        ring.locked = False
        kept = store.read()
        assert kept is not None
        assert kept.refresh == "newer"
        store.remove()
        assert store.read() is None
    finally:
        keyring.set_keyring(before)


def test_the_name_of_a_profile_is_never_a_path(config: Path) -> None:
    SessionStore("../../outside").write(Tokens("maker1", "access", "refresh", 0))
    assert [file.parent for file in config.parent.rglob("*.json")] == [config / "sessions"]


def test_commands_at_once_renew_the_tokens_once() -> None:
    logged_in(seconds=0)
    renewed: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            renewed.append(request.content.decode())
            return token(str(len(renewed)))
        return httpx.Response(200, json={"as": request.headers["Authorization"]})

    def command() -> None:
        with connection(answer) as platform:
            seen.append(platform.json("auth", "GET", "/me")["as"])

    seen: list[str] = []
    threads = [threading.Thread(target=command) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert seen == ["Bearer access 1"] * 8
    assert renewed == ["grant_type=refresh_token&refresh_token=refresh"]


def test_a_session_that_has_ended_is_forgotten_and_one_that_cannot_be_renewed_now_is_kept() -> None:
    store = logged_in(seconds=0)
    with connection(lambda _: httpx.Response(503, json={"title": "Later"})) as platform:
        with pytest.raises(Unavailable, match="Later"):
            platform.call("auth", "GET", "/me")
        assert store.read() is not None
    refusal = {"title": "The refresh token is not valid", "error": "invalid_grant"}
    with connection(lambda _: httpx.Response(400, json=refusal)) as platform:
        with pytest.raises(NotLoggedIn, match="creditmesh login"):
            platform.call("auth", "GET", "/me")
        assert store.read() is None
        with pytest.raises(NotLoggedIn, match="Nobody is logged in"):
            platform.call("auth", "GET", "/me")


def test_pages_are_read_as_far_as_asked_for() -> None:
    logged_in()
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        after = int(request.url.params.get("after", 0))
        limit = int(request.url.params["limit"])
        return httpx.Response(
            200, json={"items": list(range(after, after + limit)), "next": str(after + limit)}
        )

    with connection(answer) as platform:
        assert list(platform.items("auth", "/users", 450, kind="x")) == list(range(450))
    assert asked == ["kind=x&limit=200", "kind=x&limit=200&after=200", "kind=x&limit=50&after=400"]


@pytest.mark.parametrize("content", [b"<html>", b"[]", b""])
def test_an_answer_that_is_no_problem_is_told_by_its_status(content: bytes) -> None:
    logged_in()
    with (
        connection(lambda _: httpx.Response(418, content=content)) as platform,
        pytest.raises(Refused, match="answered 418"),
    ):
        platform.call("auth", "GET", "/me")


def test_profiles_are_kept_and_checked() -> None:
    urls = dict.fromkeys(profiles.SERVICES, "https://mesh.example.com")
    profiles.write("bank", profiles.Profile(**urls))
    assert profiles.named("bank").url("intake") == "https://mesh.example.com"
    assert set(profiles.read()) == {"local", "bank"}
    for wrong in ("mesh.example.com", "ftp://mesh.example.com", "https://u:p@mesh.example.com", "https://"):
        with pytest.raises(WrongUsage, match="--search"):
            profiles.write("bad", profiles.Profile(**{**urls, "search": wrong}))
    with pytest.raises(WrongUsage, match="there are: local, bank"):
        profiles.named("other")
    profiles.write("bank", None)
    with pytest.raises(WrongUsage, match="bank"):
        profiles.write("bank", None)
    (profiles.folder() / "profiles.json").write_text('{"bank": 1}')
    with pytest.raises(WrongUsage, match="cannot be read"):
        profiles.read()


def test_an_authority_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    profiles.write("local", profiles.Profile(authority=str(tmp_path / "missing.pem")))
    with pytest.raises(WrongUsage, match="authority of profile 'local'"):
        Connection("local")


def test_each_form_prints_what_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": "=Ánh [red]", "roles": ["maker"], "hours": 2.25, "on": True, "more": {"a": 1}, "no": None}
    ]
    columns = ("name", "roles", "hours", "on", "more", "no")
    show(rows, columns, Output.TABLE)
    printed = capsys.readouterr().out
    assert "=Ánh [red]" in printed
    assert "maker" in printed
    assert "yes" in printed
    show(rows, columns, Output.JSON)
    assert '"name": "=Ánh [red]"' in capsys.readouterr().out
    show(rows, ("name",), Output.NDJSON)
    assert capsys.readouterr().out.count("\n") == 1
    show(rows, columns, Output.CSV)
    head, row = capsys.readouterr().out.splitlines()
    assert head == "name,roles,hours,on,more,no"
    assert row.startswith("'=Ánh [red],")
    show_one(rows[0], Output.TABLE)
    assert capsys.readouterr().out.splitlines()[1].split() == ["name", "=Ánh", "[red]"]


@pytest.mark.parametrize(
    ("form", "end", "expected"),
    [
        ("csv", b"a,b\r\n# rows 12 complete\r\n", (12, True)),
        ("csv", b"# rows 9 incomplete: there are more; narrow the filters\r\n", (9, False)),
        ("csv", b"a,b\r\n", (None, False)),
        ("csv", b"# rows 12", (None, False)),
        ("csv", b"", (None, False)),
        ("ndjson", b'{"a": 1}\n{"rows":3,"complete":true}\n', (3, True)),
        ("ndjson", b'{"a": 1}\n', (None, False)),
        ("ndjson", b'{"rows":3,"compl', (None, False)),
    ],
)
def test_a_cut_export_is_known_by_its_last_line(
    form: str, end: bytes, expected: tuple[int | None, bool]
) -> None:
    assert _last_line(form, end) == expected


def test_calling_the_services_needs_no_package_of_theirs() -> None:
    """With nothing but the group `client` installed, everything is there but what writes into the lake itself."""
    without = ["alembic", "asyncpg", "fastapi", "opentelemetry", "pyarrow", "sqlalchemy"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = (
            f"import sys; sys.modules.update(dict.fromkeys({without!r})); sys.argv = ['creditmesh', *{arguments!r}]; "
            "from services.cli.main import cli; cli()"
        )
        return subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
        )

    shown = run("--help")
    assert shown.returncode == 0, shown.stderr
    for name in (
        "submit",
        "documents",
        "queue",
        "decide",
        "search",
        "export",
        "audit",
        "sessions",
        "users",
        "status",
    ):
        assert f" {name} " in shown.stdout
    refused = run("import", "history", ".")
    assert refused.returncode == 2
    assert "install the group `cli`" in refused.stderr


def test_a_second_factor_is_asked_for_by_its_own_error() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "otp=123456" in request.content.decode():
            return token("with otp")
        return httpx.Response(401, json={"title": "A code is needed", "error": "mfa_required"})

    with connection(answer) as platform:
        with pytest.raises(OtpRequired):
            platform.log_in("maker1", "password")
        assert SessionStore("local").read() is None
        platform.log_in("maker1", "password", "123456")
    kept = SessionStore("local").read()
    assert kept is not None
    assert kept.refresh == "refresh with otp"


def test_without_a_refresh_token_the_session_ends_with_its_access_token() -> None:
    body = {"access_token": "short", "refresh_token": None, "expires_in": 0}
    with connection(lambda _: httpx.Response(200, json=body)) as platform:
        platform.log_in("maker1", "password")
        with pytest.raises(NotLoggedIn, match="has ended"):
            platform.call("auth", "GET", "/me")


def test_what_a_search_corrected_is_told_once_beside_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    logged_in()
    pages = iter(
        (
            {"items": [{"id": 1}], "next": "more", "corrected": [{"word": "nguyne", "meant": ["nguyen"]}]},
            {"items": [{"id": 2}], "next": None, "corrected": [{"word": "nguyne", "meant": ["nguyen"]}]},
        )
    )
    with connection(lambda _: httpx.Response(200, json=next(pages))) as platform:
        found = list(platform.items("search", "/applications", 10, _tell, q="nguyne"))

    captured = capsys.readouterr()
    assert [one["id"] for one in found] == [1, 2]
    assert (captured.err, captured.out) == ("nguyne: also found nguyen\n", "")
