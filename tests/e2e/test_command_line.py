"""Each command of `creditmesh` against the running platform: what it prints, how it ends, and no token in it."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.client.sessions import SessionStore
from services.cli.main import cli
from services.platform.components.mesh import passwords
from services.platform.platform import Platform
from services.platform.settings import ROOT
from tests.e2e.test_application_journey import PROFILE
from tests.integration.intake.files import PDF
from tests.integration.intake.importing import as_csv

SERVICES = ("auth", "intake", "approval", "search")
PATIENCE_SECONDS = 60


@dataclass
class Terminal:
    """Somebody at a terminal with a configuration folder of their own, and all that was printed there."""

    platform: Platform
    config: Path
    printed: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        # A keyring that fails is none: the session is kept in a file.
        return {
            "CREDITMESH_CONFIG": str(self.config),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "COLUMNS": "200",
        }

    async def run(self, *arguments: str, stdin: str = "", status: int = 0) -> Result:
        result = await asyncio.to_thread(
            CliRunner().invoke, cli, arguments, input=stdin, env=self.environment
        )
        self.printed.append(result.output)
        assert result.exit_code == status, (arguments, result.output, result.exception)
        return result

    async def start(self, *arguments: str) -> None:
        """Run a command in a process of its own, beside others."""
        process = await asyncio.create_subprocess_exec(
            str(ROOT / "creditmesh"),
            *arguments,
            env={**os.environ, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        self.printed.append(said.decode())
        assert process.returncode == 0, said.decode()

    async def log_in(self, username: str) -> None:
        password = passwords(self.platform.home)[username]
        result = await self.run(
            "login", username, "--password-stdin", "--profile", username, stdin=f"{password}\n"
        )
        assert f"logged in as {username}" in result.output

    async def json(self, *arguments: str) -> Any:
        return json.loads((await self.run(*arguments, "--output", "json")).stdout)


@pytest.fixture
async def terminal(running_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal(running_platform, tmp_path / "config")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    urls = [part for one in SERVICES for part in (f"--{one}", running_platform.settings.http(one))]
    for user in ("maker1", "officer1", "auditor", "administrator1"):
        await made.run("profiles", "set", user, *urls)
        await made.log_in(user)
    return made


async def test_case_34_an_application_from_submission_to_booking(terminal: Terminal, tmp_path: Path) -> None:
    maker, officer, auditor = (
        ("--profile", "maker1"),
        ("--profile", "officer1"),
        ("--profile", "auditor"),
    )
    name = f"Terminal {secrets.token_hex(6)}"
    file = _application(tmp_path, name)
    submitted = await terminal.json("submit", str(file), *maker)
    application = str(submitted["id"])
    assert submitted["state"] == "SUBMITTED"

    # The queue reads the lake, so it is there at once.
    waiting = await terminal.json("queue", "--limit", "1000", *officer)
    assert application in {item["id"] for item in waiting}
    assert (await terminal.json("queue", "--summary", *officer))[0]["count"] >= 1
    assert "low_score" in (await terminal.run("reasons", *officer)).stdout
    claimed = await terminal.json("claim", application, *officer)
    assert claimed["application_id"] == application
    # Somebody who does not confirm decides nothing.
    await terminal.run("decide", application, "approve", *officer, stdin="n\n", status=1)
    decided = await terminal.json("decide", application, "approve", "--yes", *officer)
    assert decided["state"] == "APPROVED"
    await terminal.run("decide", application, "approve", "--revision", "1", *officer, status=1)
    assert "principal" in await terminal.json("book", application, "--yes", *officer)

    async def booked() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await terminal.json(
            "search", *name.split(), "--state", "booked", *maker
        )
        return found

    for _ in range(PATIENCE_SECONDS):
        if found := await booked():
            break
        await asyncio.sleep(1)
    assert [one["id"] for one in found] == [application]
    table = await terminal.run("search", *name.split(), "--facets", "state,product", *maker)
    assert name in table.stdout
    assert "1 found" in table.output
    assert "BOOKED 1" in table.output
    assert (await terminal.json("application", application, *maker))["loan"] is not None
    assert name in (await terminal.run("application", application, "--lake", *maker)).stdout

    trail = await terminal.json("audit", application, *auditor)
    assert {change["table"] for change in trail} >= {"credit.application", "credit.decision", "credit.loan"}
    assert "BOOKED" in (await terminal.run("audit", application, *auditor)).stdout

    target = tmp_path / "found.csv"
    exported = await terminal.run("export", str(target), "--word", name.split()[1], *maker)
    assert "1 rows are in" in exported.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    await terminal.run("export", str(tmp_path / "no" / "folder.csv"), *maker, status=2)
    rows = list(csv.reader(target.read_text().splitlines()[1:-1]))
    assert [row[0] for row in rows] == ["id", application]


async def test_case_34_documents(terminal: Terminal, tmp_path: Path) -> None:
    maker, officer = ("--profile", "maker1"), ("--profile", "officer1")
    application = str((await terminal.json("submit", str(_application(tmp_path)), *maker))["id"])
    file = tmp_path / "pay slip.pdf"
    file.write_bytes(PDF)
    add = ("documents", "add", application, str(file), "--kind", "income", "--key", f"once-{application}")
    added = await terminal.json(*add, *maker)
    assert (added["file_name"], added["size_bytes"]) == ("pay slip.pdf", len(PDF))
    assert await terminal.json(*add, *maker) == added
    assert [one["id"] for one in await terminal.json("documents", "list", application, *officer)] == [
        added["id"]
    ]
    table = await terminal.run("documents", "list", application, *maker)
    assert "pay slip.pdf" in table.stdout

    copy = tmp_path / "copy.pdf"
    got = await terminal.run("documents", "get", added["id"], str(copy), *officer)
    assert f"{len(PDF)} bytes are in" in got.output
    assert "nobody looked" in got.output
    assert copy.read_bytes() == PDF
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not copy.with_name("copy.pdf.part").exists()

    # Another type than the name says, no file, no type, no application, no document.
    wrong = tmp_path / "picture.png"
    wrong.write_bytes(PDF)
    refused = await terminal.run(
        "documents", "add", application, str(wrong), "--kind", "other", *maker, status=1
    )
    assert "is not image/png" in refused.output
    for name, status in (("missing.pdf", 2), ("program.exe", 2)):
        await terminal.run(
            "documents", "add", application, str(tmp_path / name), "--kind", "other", *maker, status=status
        )
    await terminal.run("documents", "list", added["id"], *maker, status=1)
    await terminal.run("documents", "get", application, str(tmp_path / "x"), *maker, status=1)
    assert not (tmp_path / "x").exists()


async def test_case_34_imports(terminal: Terminal, tmp_path: Path) -> None:
    maker, officer = ("--profile", "maker1"), ("--profile", "officer1")
    row = json.loads(_application(tmp_path).read_text())
    (part,) = row.pop("parties")
    rows = [
        {"external_ref": secrets.token_hex(8), "party": part["party"], "application": row},
        {"external_ref": secrets.token_hex(8), "party": part["party"], "application": {**row, "amount": "x"}},
    ]
    file = tmp_path / "partner.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(json.dumps(one) for one in rows).encode()))
    refused = await terminal.run("import", str(file), "--watch", *maker, status=1)
    assert "/application/amount" in refused.stdout
    assert "1 of 2 rows were rejected." in refused.output

    # Corrected and sent whole, in another format: only what was missing is made.
    rows[1]["application"] = row
    corrected = tmp_path / "partner.csv"
    corrected.write_bytes(as_csv(rows))
    done = json.loads((await terminal.run("import", "--watch", str(corrected), "-o", "json", *maker)).stdout)
    assert (done["made"], done["repeated"], done["rejected"]) == (1, 1, 0)
    (made,) = await terminal.json("import", "rows", done["id"], "--made", *maker)
    assert "SUBMITTED" in (await terminal.run("application", made["id"], "--lake", *maker)).stdout
    assert await terminal.json("import", "rows", done["id"], *maker) == []
    assert done["id"] in {one["id"] for one in await terminal.json("import", "list", *maker)}
    assert "done" in (await terminal.run("import", "show", done["id"], *maker)).stdout

    for arguments, status in (
        ((str(file), *officer), 1),
        ((str(tmp_path / "missing.csv"), *maker), 2),
        ((str(tmp_path / "table.xlsx"), *maker), 2),
        ((str(file), "--kind", "loans", *maker), 2),
        ((str(file), "--kind", "payments", *maker), 1),
    ):
        await terminal.run("import", *arguments, status=status)


async def test_case_34_sessions_and_users(terminal: Terminal) -> None:
    maker, administrator = ("--profile", "maker1"), ("--profile", "administrator1")
    assert (await terminal.json("whoami", *maker))["username"] == "maker1"
    (own, *others) = sorted(
        await terminal.json("sessions", "list", *maker), key=lambda one: not one["current"]
    )
    assert own["current"]
    for other in others:
        await terminal.run("sessions", "end", other["id"], *maker)
    assert len(await terminal.json("sessions", "list", *maker)) == 1
    users = {one["username"] for one in await terminal.json("users", "list", *administrator)}
    assert {"maker1", "officer1"} <= users
    status = await terminal.json("status", *maker)
    assert {row["status"] for row in status} == {"ready"}
    lines = (await terminal.run("users", "list", "-o", "ndjson", *administrator)).stdout.splitlines()
    assert len(lines) == len(users)
    (head, *_) = (await terminal.run("users", "list", "-o", "csv", *administrator)).stdout.splitlines()
    assert head.startswith("id,username,")

    # An access token that has ended is renewed, by however many commands at once.
    store = SessionStore("maker1")
    tokens = store.read()
    assert tokens is not None
    store.write(type(tokens)(tokens.username, "ended", tokens.refresh, 0.0))
    await asyncio.gather(*(terminal.start("whoami", *maker) for _ in range(3)))
    renewed = store.read()
    assert renewed is not None
    assert renewed.refresh != tokens.refresh
    (file,) = (terminal.config / "sessions").glob(f"{b'maker1'.hex()}.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    assert "logged out" in (await terminal.run("logout", *maker)).output
    assert "nobody was logged in" in (await terminal.run("logout", *maker)).output
    assert "creditmesh login" in (await terminal.run("whoami", *maker, status=2)).output
    # The session itself is over, not only forgotten here.
    store.write(renewed)
    assert "session has ended" in (await terminal.run("whoami", *maker, status=1)).output

    secret = [tokens.access, tokens.refresh, renewed.access, renewed.refresh]
    assert not [text for text in terminal.printed for one in secret if one in text]


async def test_case_34_what_is_refused_and_what_is_wrong(terminal: Terminal, tmp_path: Path) -> None:
    maker = ("--profile", "maker1")
    wrong = await terminal.run("login", "maker1", "--password-stdin", *maker, stdin="wrong\n", status=1)
    assert "password is wrong" in wrong.output
    file = tmp_path / "application.json"
    file.write_text(json.dumps({"product_code": "CONSUMER", "amount": "-1", "state": "BOOKED"}))
    refused = await terminal.run("submit", str(file), *maker, status=1)
    assert "/body/amount" in refused.output
    assert "/body/state" in refused.output
    assert "trace " in refused.output
    file.write_text("{")
    assert "no JSON" in (await terminal.run("submit", str(file), *maker, status=2)).output
    assert "decide" in (await terminal.run("queue", *maker, status=1)).output
    assert "no profile" in (await terminal.run("queue", "--profile", "elsewhere", status=2)).output
    await terminal.run("export", str(tmp_path / "found.xlsx"), *maker, status=2)
    nowhere = [part for one in SERVICES for part in (f"--{one}", "http://127.0.0.1:1")]
    await terminal.run("profiles", "set", "nowhere", *nowhere)
    silent = await terminal.run("login", "maker1", "--password-stdin", "-p", "nowhere", stdin="x\n", status=3)
    assert "does not answer" in silent.output
    await terminal.run("status", "-p", "nowhere", status=3)
    assert "nowhere" in (await terminal.run("profiles", "list")).stdout
    await terminal.run("profiles", "remove", "nowhere")
    assert "nowhere" not in (await terminal.run("profiles", "list")).stdout


def _application(folder: Path, name: str = "Terminal Person") -> Path:
    """A file with an application for `submit`, with a new borrower."""
    person = {"kind": "person", "full_name": name, "birth_date": "1986-04-01"}
    content = {
        "product_code": "CONSUMER",
        "amount": "2500.00",
        "currency": "DEM",
        "term_months": 12,
        "purpose": "radio/television",
        "channel": "online",
        "parties": [{"role": "borrower", "party": person}],
        "profile": PROFILE,
    }
    file = folder / "application.json"
    file.write_text(json.dumps(content))
    return file
