"""Calls of auth: tokens for a login, the next ones, and who somebody is."""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from services.chassis.web.http import HttpClient, ServerUnavailable
from services.dashboard.clients.services import said_by
from services.dashboard.sessions.domain import Person, Tokens

LOGIN_SECONDS = 8.0
"""A login waits for auth for this long, repetitions included: passwords are hashed slowly on purpose."""
CHECK_SECONDS = 3.0
"""Any other request of a session waits for this long: it may go on without an answer."""


class AuthUnreachable(Exception):
    """Auth does not answer in time, or fails."""


class LoginRefused(Exception):
    """Auth has refused a login; `kind` is the last part of the problem's type."""

    def __init__(self, kind: str, detail: str | None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class Auth:
    """What sessions need of auth."""

    def __init__(self, client: HttpClient) -> None:
        """`client` calls auth."""
        self._client = client

    async def log_in(
        self, username: str, password: str, otp: str | None, now: datetime, *, address: str | None = None
    ) -> tuple[Tokens, Person]:
        """Exchange a user name and a password for tokens; `address` is the browser's.

        Raises:
            LoginRefused: they are wrong, more is needed, or there were too many attempts.
            AuthUnreachable: auth does not answer.
        """
        form = {"grant_type": "password", "username": username, "password": password}
        answer = await self._call(
            "POST",
            "/token",
            seconds=LOGIN_SECONDS,
            data={**form, **({"otp": otp} if otp else {})},
            headers={"X-Forwarded-For": address} if address else {},
        )
        if answer.status_code != 200:
            raise LoginRefused(*said_by(answer))
        body = answer.json()
        for missing in ("password_change", "otp_enrolment"):
            if body[f"{missing}_required"]:
                # Nobody uses this token; if auth cannot be told, it expires by itself.
                with contextlib.suppress(AuthUnreachable):
                    await self._revoke(body["access_token"])
                raise LoginRefused(f"{missing.replace('_', '-')}-required", None)
        tokens = _tokens(body, now)
        person = await self.person(tokens.access)
        if person is None:
            raise LoginRefused("session-ended", None)
        return tokens, person

    async def refresh(self, tokens: Tokens, now: datetime) -> Tokens | None:
        """The next tokens of a session; None when auth has ended it."""
        answer = await self._call(
            "POST",
            "/token",
            seconds=CHECK_SECONDS,
            data={"grant_type": "refresh_token", "refresh_token": tokens.refresh},
        )
        if answer.status_code == 200:
            return _tokens(answer.json(), now)
        if answer.status_code in {400, 401}:
            return None
        raise AuthUnreachable(f"auth answered {answer.status_code}")

    async def person(self, access_token: str) -> Person | None:
        """Who has this token; None when its session has ended."""
        answer = await self._call(
            "GET", "/me", seconds=CHECK_SECONDS, headers={"Authorization": f"Bearer {access_token}"}
        )
        if answer.status_code == 200:
            body = answer.json()
            return Person(UUID(body["id"]), body["username"], body["display_name"], tuple(body["roles"]))
        if answer.status_code in {401, 403}:
            return None
        raise AuthUnreachable(f"auth answered {answer.status_code}")

    async def revoke(self, tokens: Tokens) -> None:
        """End the session of these tokens."""
        await self._revoke(tokens.refresh)

    async def _revoke(self, token: str) -> None:
        await self._call("POST", "/revoke", seconds=CHECK_SECONDS, data={"token": token})

    async def _call(self, method: str, path: str, *, seconds: float, **options: Any) -> httpx.Response:
        try:
            async with asyncio.timeout(seconds):
                answer = await self._client.request(method, path, **options)
        except (httpx.TransportError, ServerUnavailable, TimeoutError) as error:
            raise AuthUnreachable("auth does not answer") from error
        if answer.is_server_error:
            raise AuthUnreachable(f"auth answered {answer.status_code}")
        return answer


def _tokens(body: dict[str, Any], now: datetime) -> Tokens:
    return Tokens(body["access_token"], body["refresh_token"], now + timedelta(seconds=body["expires_in"]))
