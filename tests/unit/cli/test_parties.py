"""Finding parties on the command line, and putting them on record once for a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.cli.client.connection import Connection
from services.cli.commands import applications, parties
from services.cli.main import cli
from tests.unit.cli.test_client import config, logged_in

__all__ = ["config"]

ASKED = {
    "national_id": "AB 123",
    "email": "an@example.com",
    "phone": "+842438252916",
}
Run = Callable[..., Result]


@pytest.fixture
def requests() -> list[httpx.Request]:
    """What was sent."""
    return []


@pytest.fixture
def run(requests: list[httpx.Request], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against an intake that has one party and loses the first answer to each application."""
    lost: set[str] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.method == "GET":
            return httpx.Response(200, json={"items": [{"id": "one", "full_name": "An"}], "next": None})
        key = request.headers["Idempotency-Key"]
        if request.url.path == "/applications" and key not in lost:
            lost.add(key)
            raise httpx.ReadError("lost")
        made = dict.fromkeys(("state", "version", "amount", "currency", "score", "submitted_at"))
        return httpx.Response(201, json={"id": f"made by {key}", **made})

    logged_in()
    for module in (parties, applications):
        monkeypatch.setattr(
            module, "connect", lambda profile: Connection(profile, httpx.MockTransport(answer))
        )

    def invoke(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(cli, arguments, input=stdin)

    return invoke


def test_a_party_is_found_by_all_that_is_given(run: Run, requests: list[httpx.Request]) -> None:
    options = [part for name, value in ASKED.items() for part in (f"--{name.replace('_', '-')}", value)]

    found = run("parties", "find", *options, "--output", "json")

    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)[0]["id"] == "one"
    (asked,) = requests
    assert (asked.url.path, dict(asked.url.params)) == ("/parties", {**ASKED, "limit": "50"})
    # The + of a number must not arrive as a blank.
    assert b"phone=%2B84" in asked.url.query


@pytest.mark.parametrize("name", ASKED)
def test_what_must_not_stand_on_the_command_line_is_asked_for(
    run: Run, requests: list[httpx.Request], name: str
) -> None:
    found = run("parties", "find", f"--{name.replace('_', '-')}", "-", stdin=f"{ASKED[name]}\n")

    assert found.exit_code == 0, found.output
    assert requests[0].url.params[name] == ASKED[name]


def test_something_must_be_sought(run: Run, requests: list[httpx.Request]) -> None:
    assert run("parties", "find").exit_code == 2
    assert not requests


def test_a_repeated_submission_names_the_same_new_parties(
    run: Run, requests: list[httpx.Request], tmp_path: Path
) -> None:
    file = tmp_path / "application.json"
    new = [{"role": role, "party": {"full_name": role}} for role in ("borrower", "guarantor")]
    file.write_text(json.dumps({"parties": new}))

    lost = run("submit", str(file), "--key", "mine")
    again = run("submit", str(file), "--key", "mine")

    assert (lost.exit_code, again.exit_code) == (3, 0), (lost.output, again.output)
    assert "--key mine" in lost.output
    keys: dict[str, list[str]] = {"/parties": [], "/applications": []}
    bodies: list[Any] = []
    for request in requests:
        keys[request.url.path].append(request.headers["Idempotency-Key"])
        if request.url.path == "/applications":
            bodies.append(json.loads(request.content))
    assert set(keys["/applications"]) == {"mine"}
    assert len(keys["/parties"]) == 2 * len(set(keys["/parties"])) == 4
    assert all(body == bodies[0] for body in bodies)
