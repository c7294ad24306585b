"""Failed logins: guesses must wait, and no stranger can lock a user out."""

import httpx
import pytest
from fastapi import FastAPI

from services.auth.domain import FREE_ATTEMPTS, NETWORK_ATTEMPTS
from tests.integration.auth.conftest import elsewhere, log_in

STRANGER, HOME = "203.0.113.9", "198.51.100.7"


async def guess(client: httpx.AsyncClient, name: str, times: int) -> list[int]:
    return [(await log_in(client, name, "a wrong password")).status_code for _ in range(times)]


@pytest.mark.parametrize("stranger", [STRANGER, "2001:db8:1::9"])
async def test_a_stranger_cannot_lock_a_user_out(
    client: httpx.AsyncClient, app: FastAPI, stranger: str
) -> None:
    async with elsewhere(app, stranger) as theirs:
        guessed = await guess(theirs, "ann", FREE_ATTEMPTS + 2)

        assert guessed == [401] * FREE_ATTEMPTS + [429] * 2
        assert (await log_in(theirs, "ann")).status_code == 429
    assert (await log_in(client, "ann")).status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1::9", "2001:db8:1:0:ffff::1", True),
        ("2001:db8:1::9", "2001:db8:2::9", False),
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
    ],
)
async def test_attempts_are_counted_by_network(
    client: httpx.AsyncClient, app: FastAPI, first: str, second: str, same: bool
) -> None:
    assert client
    async with elsewhere(app, first) as one, elsewhere(app, second) as other:
        await guess(one, "ann", FREE_ATTEMPTS)

        assert (await log_in(other, "ann")).status_code == (429 if same else 200)


async def test_case_12_who_tries_many_names_from_one_network_waits_and_who_works_there_does_not(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    assert client
    async with elsewhere(app, HOME) as office:
        assert (await log_in(office, "ann")).status_code == 200
        for number in range(NETWORK_ATTEMPTS):
            assert (await log_in(office, f"name{number}", "a wrong password")).status_code == 401

        refused = await log_in(office, "name99", "a wrong password")
        # Never seen here before; and at home everywhere else.
        new_here = await log_in(office, "adam")
        known = await log_in(office, "ann")
    assert (refused.status_code, new_here.status_code, known.status_code) == (429, 429, 200)
    assert 0 < int(refused.headers["retry-after"]) <= 600
    assert (await log_in(client, "adam")).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_a_header_does_not_make_another_network(client: httpx.AsyncClient, header: str) -> None:
    statuses = [
        (
            await client.post(
                "/token",
                data={"username": "ann", "password": "a wrong password"},
                headers={header: f"for=192.0.2.{n}" if header == "Forwarded" else f"192.0.2.{n}"},
            )
        ).status_code
        for n in range(FREE_ATTEMPTS + 1)
    ]

    assert statuses[-1] == 429
