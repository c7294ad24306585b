"""Reset codes: two administrators give one to a user, who sets the password with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from services.auth.accounts.resets import LIFETIME
from services.auth.accounts.users import Users
from tests.conftest import Database
from tests.integration.auth.conftest import PASSWORD, Clock, bearer, headers, log_in
from tests.integration.auth.test_refresh import at, refresh

NEW = "seven purple otters juggle"


@dataclass
class Desk:
    """Two administrators and the user who has forgotten the password."""

    http: httpx.AsyncClient
    ann: UUID
    adam: dict[str, str]
    berta: dict[str, str]

    @classmethod
    async def of(cls, client: httpx.AsyncClient, users: Users) -> Desk:
        ann = await users.find("ann")
        assert ann
        return cls(client, ann.id, await headers(client, "adam"), await headers(client, "berta"))

    async def issued(self) -> tuple[str, str]:
        """A code that waits, and its id."""
        response = await self.http.post(f"/users/{self.ann}/reset-codes", headers=self.adam)
        assert response.status_code == 201, response.text
        return response.json()["code"], response.json()["reset_code"]["id"]

    async def confirm(self, code_id: str, by: dict[str, str]) -> httpx.Response:
        return await self.http.post(f"/users/{self.ann}/reset-codes/{code_id}/confirmation", headers=by)

    async def code(self) -> str:
        """A code that works."""
        code, code_id = await self.issued()
        assert (await self.confirm(code_id, self.berta)).status_code == 200
        return code

    async def use(self, code: str, username: str = "ann", password: str = NEW) -> httpx.Response:
        body = {"username": username, "code": code, "new_password": password}
        return await self.http.post("/password-resets", json=body)


@pytest.fixture
async def desk(client: httpx.AsyncClient, users: Users) -> Desk:
    return await Desk.of(client, users)


async def test_case_9_a_reset_code_works_once_and_ends_the_sessions(
    desk: Desk, fresh_application: Database
) -> None:
    before = (await log_in(desk.http, "ann")).json()
    code = await desk.code()

    weak = await desk.use(code, password="ann password 1")
    used = await desk.use(code.lower().replace("-", ""))
    again = await desk.use(code)

    assert (weak.status_code, used.status_code, again.status_code) == (422, 204, 400)
    assert (await refresh(desk.http, before["refresh_token"])).status_code == 400
    assert (await desk.http.get("/me", headers=bearer(before["access_token"]))).status_code == 401
    assert (await log_in(desk.http, "ann")).status_code == 401
    login = await log_in(desk.http, "ann", NEW)
    assert (login.status_code, login.json()["password_change_required"]) == (200, False)
    async with fresh_application.connect() as owner:
        stored = "".join(
            [str(await owner.fetch(f"SELECT * FROM auth.{one}")) for one in ("reset_code", "event")]
        )
    assert code not in stored
    assert code.replace("-", "") not in stored


async def test_case_9_a_reset_code_expires(
    users: Users, fresh_application: Database, encryption_key: bytes
) -> None:
    clock = Clock()
    async with at(clock, fresh_application, encryption_key) as client:
        desk = await Desk.of(client, users)
        code = await desk.code()
        clock.offset = LIFETIME + timedelta(seconds=1)
        assert (await desk.use(code)).status_code == 400
        assert (await log_in(client, "ann", PASSWORD)).status_code == 200


async def test_a_code_needs_two_administrators_and_neither_is_its_user(desk: Desk, users: Users) -> None:
    code, code_id = await desk.issued()
    adam = await users.find("adam")
    assert adam

    unconfirmed = await desk.use(code)
    alone = await desk.confirm(code_id, desk.adam)
    own = await desk.http.post(f"/users/{adam.id}/reset-codes", headers=desk.adam)
    of_berta = await desk.http.post(f"/users/{adam.id}/reset-codes", headers=desk.berta)
    place = f"/users/{adam.id}/reset-codes/{of_berta.json()['reset_code']['id']}/confirmation"
    for_himself = await desk.http.post(place, headers=desk.adam)

    assert unconfirmed.status_code == 400
    assert [answer.status_code for answer in (alone, own, for_himself)] == [403] * 3


async def test_a_new_code_ends_the_one_before(desk: Desk) -> None:
    first = await desk.code()
    waiting, waiting_id = await desk.issued()
    second = await desk.code()

    assert (await desk.confirm(waiting_id, desk.berta)).status_code == 404
    assert [(await desk.use(one)).status_code for one in (first, waiting, second)] == [400, 400, 204]


async def test_of_two_uses_at_once_one_sets_the_password(desk: Desk) -> None:
    code = await desk.code()

    answers = await asyncio.gather(*(desk.use(code, password=f"{NEW} {n}") for n in range(2)))

    assert sorted(answer.status_code for answer in answers) == [204, 400]


async def test_whatever_is_wrong_with_a_code_is_answered_alike_and_counted(desk: Desk) -> None:
    code = await desk.code()

    answers = [
        await desk.use("AAAA-AAAA-AAAA-AAAA-AAAA"),
        await desk.use(code, username="adam"),
        await desk.use(code, username="nobody"),
        await desk.use("", username="ann\x00"),
    ]
    bodies = [{**answer.json(), "trace_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [400] * 4
    assert all(body == bodies[0] for body in bodies)

    guesses = [(await desk.use(f"guess {n}")).status_code for n in range(6)]
    assert guesses == [400] * 4 + [429] * 2
    assert (await desk.use(code)).status_code == 429


async def test_a_disabled_user_sets_no_password(desk: Desk) -> None:
    code = await desk.code()
    await desk.http.patch(f"/users/{desk.ann}", json={"disabled": True}, headers=desk.adam)

    assert (await desk.use(code)).status_code == 400
