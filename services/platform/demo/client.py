"""The mesh as the demo's people use it: over HTTP, with their own logins."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
from httpx import Response
from opentelemetry.trace import SpanKind, Tracer

from services.chassis.web.http import HttpClient
from services.platform.errors import PlatformError
from services.platform.settings import PlatformSettings


class Refused(PlatformError):
    """An API answered with something that the demo did not expect."""


class Mesh:
    """The HTTP APIs of one platform."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._clients = {
            name: HttpClient(
                settings.http(name),
                timeout_seconds=30,
                transport=httpx.AsyncHTTPTransport(verify=settings.trust()),
            )
            for name in ("auth", "intake", "approval", "search")
        }

    async def __aenter__(self) -> Self:
        """Open the clients."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close them."""
        for client in self._clients.values():
            await client.aclose()

    async def log_in(self, username: str, password: str) -> Person:
        """A person with a token.

        Raises:
            Refused: when auth does not take the password.
        """
        person = Person(self._clients, username, password)
        await person.log_in()
        return person


class Person:
    """A logged-in user, who logs in again when the token has expired."""

    def __init__(
        self, clients: Mapping[str, HttpClient], username: str, password: str, token: str | None = None
    ) -> None:
        """`token`: one that they have already; without it, `log_in` comes first."""
        self._clients = clients
        self.username = username
        self._password = password
        self._headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"} if token else {}

    async def log_in(self) -> None:
        """Get a token.

        Raises:
            Refused: when auth does not take the password.
        """
        form = {"username": self.username, "password": self._password}
        answer = await self._clients["auth"].post("/token", data=form)
        if answer.status_code != 200:
            raise Refused(
                f"auth refused the login of {self.username}: {answer.status_code} {answer.text[:300]}"
            )
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def _request(self, method: str, service: str, path: str, **options: Any) -> Response:
        own = options.pop("headers", None) or {}
        answer = await self._clients[service].request(
            method, path, headers={**self._headers, **own}, **options
        )
        if answer.status_code == 401:
            # The token expires after minutes, but the work takes longer. A request that got 401 had no effect.
            await self.log_in()
            answer = await self._clients[service].request(
                method, path, headers={**self._headers, **own}, **options
            )
        return answer

    async def call(
        self, method: str, service: str, path: str, *, accept: tuple[int, ...] = (200,), **options: Any
    ) -> Response:
        """The answer to one request; options are those of httpx.

        Raises:
            Refused: for a status that is not among `accept`.
        """
        answer = await self._request(method, service, path, **options)
        if answer.status_code not in accept:
            raise Refused(
                f"{method} {service}{path} by {self.username}: {answer.status_code} {answer.text[:500]}"
            )
        return answer

    async def get(self, service: str, path: str, **options: Any) -> Any:
        """GET a JSON document; raises Refused for any other status than 200."""
        return (await self.call("GET", service, path, **options)).json()

    async def post(
        self,
        service: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (200, 201),
    ) -> tuple[int, Any, Mapping[str, str]]:
        """POST a JSON document; gives status, body and headers; raises what `call` raises."""
        answer = await self.call("POST", service, path, accept=accept, json=body, headers=headers)
        return answer.status_code, answer.json(), answer.headers


def click(tracer: Tracer, what: str) -> Any:
    """The span that a person's click in a browser would begin."""
    return tracer.start_as_current_span(f"click {what}", kind=SpanKind.INTERNAL)
