"""The second factor: codes of a device that count once, recovery codes, and roles that need it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pyotp
import pytest

from services.auth.accounts.otp import STEP_SECONDS
from services.auth.accounts.users import Users
from services.auth.domain import FREE_ATTEMPTS
from tests.conftest import Database
from tests.integration.auth.conftest import PASSWORD, Clock, bearer, headers, log_in
from tests.integration.auth.test_refresh import at

STEP = timedelta(seconds=STEP_SECONDS)


@dataclass
class Device:
    """A device and the clock that it and auth share."""

    secret: str
    clock: Clock

    def code(self, moved: timedelta = timedelta(0)) -> str:
        return pyotp.TOTP(self.secret).at(self.clock() + moved)


@dataclass
class Phone:
    """Ann with a device."""

    http: httpx.AsyncClient
    device: Device
    recovery: list[str]
    mine: dict[str, str]

    @classmethod
    async def enrolled(cls, client: httpx.AsyncClient, clock: Clock, username: str = "ann") -> Phone:
        mine = await headers(client, username)
        device = Device((await client.post("/me/otp", headers=mine)).json()["secret"], clock)
        confirmed = await client.post("/me/otp/confirmation", json={"otp": device.code()}, headers=mine)
        assert confirmed.status_code == 200, confirmed.text
        return cls(client, device, confirmed.json()["recovery_codes"], mine)

    async def log_in(self, otp: str | None, username: str = "ann") -> httpx.Response:
        form = {"username": username, "password": PASSWORD} | ({} if otp is None else {"otp": otp})
        return await self.http.post("/token", data=form)


@pytest.fixture
async def clock() -> Clock:
    # At the middle of the step before, so that no test straddles a border, and no token is of the future.
    into = time.time() % STEP_SECONDS
    return Clock(timedelta(seconds=-STEP_SECONDS / 2 - into))


@pytest.fixture
async def phone(
    clock: Clock, users: Users, fresh_application: Database, encryption_key: bytes
) -> AsyncIterator[Phone]:
    assert await users.find("ann")
    # Enrolled three steps ago: its first code is long out of the window.
    clock.offset -= 3 * STEP
    async with at(clock, fresh_application, encryption_key) as client:
        phone = await Phone.enrolled(client, clock)
        clock.offset += 3 * STEP
        yield phone


def amr(response: httpx.Response) -> list[str]:
    claims = jwt.decode(response.json()["access_token"], options={"verify_signature": False})
    found: list[str] = claims["amr"]
    return found


async def test_a_login_needs_a_code_of_the_device(phone: Phone) -> None:
    without = await phone.log_in(None)
    wrong_password = await log_in(phone.http, "ann", "wrong password")
    code = await phone.log_in(phone.device.code())

    assert (without.status_code, without.json()["error"]) == (401, "mfa_required")
    assert wrong_password.json()["type"] == "urn:creditmesh:problem:invalid-credentials"
    assert (code.status_code, amr(code)) == (200, ["pwd", "otp", "mfa"])
    assert (await phone.log_in(None, "adam")).status_code == 200


async def test_case_10_a_code_counts_once(phone: Phone) -> None:
    code = phone.device.code()

    first, replayed = await phone.log_in(code), await phone.log_in(code)
    older = await phone.log_in(phone.device.code(-STEP))
    newer = await phone.log_in(phone.device.code(STEP))

    assert [one.status_code for one in (first, replayed, older, newer)] == [200, 401, 401, 200]
    assert replayed.json()["type"] == "urn:creditmesh:problem:invalid-credentials"


async def test_case_10_of_logins_at_once_with_one_code_one_is_let_in(phone: Phone) -> None:
    code = phone.device.code()

    answers = await asyncio.gather(*(phone.log_in(code) for _ in range(4)))

    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]


async def test_case_10_a_recovery_code_counts_once(phone: Phone, fresh_application: Database) -> None:
    code, other = phone.recovery[:2]

    statuses = [(await phone.log_in(one)).status_code for one in (code, code, other.lower())]

    assert len(set(phone.recovery)) == 10
    assert statuses == [200, 401, 200]
    async with fresh_application.connect() as owner:
        stored = "".join(
            [
                str(await owner.fetch(f"SELECT * FROM auth.{one}"))
                for one in ("totp", "recovery_code", "event")
            ]
        )
    assert phone.device.secret not in stored
    assert code.replace("-", "") not in stored


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (1, 200), (2, 401)])
async def test_a_device_whose_clock_differs_by_half_a_minute_is_understood(
    phone: Phone, steps: int, status: int
) -> None:
    assert (await phone.log_in(phone.device.code(steps * STEP))).status_code == status


async def test_wrong_codes_lock_the_name_like_wrong_passwords(phone: Phone) -> None:
    wrong = [(await phone.log_in(f"00000{n}")).status_code for n in range(FREE_ATTEMPTS)]

    assert wrong == [401] * FREE_ATTEMPTS
    assert (await phone.log_in(phone.device.code())).status_code == 429


async def test_a_stolen_token_is_no_way_to_guess_a_code(phone: Phone) -> None:
    statuses = [
        (await phone.http.post("/me/otp/removal", json={"otp": f"00000{n}"}, headers=phone.mine)).status_code
        for n in range(FREE_ATTEMPTS + 1)
    ]
    assert statuses == [403] * FREE_ATTEMPTS + [429]


async def test_a_device_counts_after_its_confirmation_and_ends_other_sessions(
    client: httpx.AsyncClient,
) -> None:
    mine, other = await headers(client, "ann"), await headers(client, "ann")
    made = (await client.post("/me/otp", headers=mine)).json()
    unconfirmed = await log_in(client, "ann")
    wrong = await client.post("/me/otp/confirmation", json={"otp": "000000"}, headers=mine)
    for no_code in ("é12345", "١٢٣٤٥٦"):
        answer = await client.post("/me/otp/confirmation", json={"otp": no_code}, headers=mine)
        assert answer.status_code in {403, 422}
    otp = pyotp.TOTP(made["secret"]).now()
    confirmed = await client.post("/me/otp/confirmation", json={"otp": otp}, headers=mine)

    assert made["uri"].startswith("otpauth://totp/creditmesh:ann?secret=")
    assert (unconfirmed.status_code, wrong.status_code, confirmed.status_code) == (200, 403, 200)
    assert (await client.get("/me", headers=mine)).status_code == 200
    assert (await client.get("/me", headers=other)).status_code == 401
    assert (await client.post("/me/otp", headers=mine)).status_code == 409


async def test_ones_own_device_is_removed_with_a_code(phone: Phone) -> None:
    renewed = await phone.http.post(
        "/me/otp/recovery-codes", json={"otp": phone.device.code()}, headers=phone.mine
    )
    old, new = phone.recovery[0], renewed.json()["recovery_codes"][0]
    refused = await phone.http.post("/me/otp/removal", json={"otp": old}, headers=phone.mine)
    removed = await phone.http.post("/me/otp/removal", json={"otp": new}, headers=phone.mine)

    assert [one.status_code for one in (renewed, refused, removed)] == [200, 403, 204]
    assert (await phone.log_in(None)).status_code == 200


async def test_an_administrator_removes_a_lost_device(phone: Phone, users: Users) -> None:
    ann, adam = await users.find("ann"), await users.find("adam")
    assert ann
    assert adam
    admin = await headers(phone.http, "adam")

    own = await phone.http.delete(f"/users/{adam.id}/otp", headers=admin)
    removed = await phone.http.delete(f"/users/{ann.id}/otp", headers=admin)

    assert (own.status_code, removed.status_code) == (403, 204)
    assert (await phone.http.get("/me", headers=phone.mine)).status_code == 401
    assert (await phone.log_in(None)).status_code == 200


async def test_who_needs_a_device_can_only_enrol_one(
    clock: Clock, users: Users, fresh_application: Database, encryption_key: bytes
) -> None:
    assert await users.find("ann")
    changed: dict[str, Any] = {"auth_mfa_roles": "administrator, officer"}
    async with at(clock, fresh_application, encryption_key, **changed) as client:
        login = (await log_in(client, "adam")).json()
        mine = bearer(login["access_token"])
        users_read = await client.get("/users", headers=mine)
        phone = await Phone.enrolled(client, clock, "adam")
        after = await phone.log_in(phone.device.code(STEP), "adam")
        free = bearer(after.json()["access_token"])
        code = {"otp": phone.recovery[0]}
        kept = await client.post("/me/otp/removal", json=code, headers=free)

        assert (login["otp_enrolment_required"], login["roles"], login["refresh_token"]) == (True, [], None)
        assert users_read.status_code == 403
        assert (after.json()["otp_enrolment_required"], after.json()["roles"]) == (False, ["administrator"])
        assert (await client.get("/users", headers=free)).status_code == 200
        assert kept.status_code == 403
        assert not (await log_in(client, "ann")).json()["otp_enrolment_required"]
