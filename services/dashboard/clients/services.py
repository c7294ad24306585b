"""Calls of the lending services with the user's own token: what a user may not do, the dashboard cannot do for them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.chassis.web.http import HttpClient, ServerUnavailable
from services.chassis.web.problems import Unauthenticated

PATIENCE_SECONDS = 6.0
"""A part of a page waits for a service for this long, repetitions included."""


NOT_SET = "not-set"
"""The kind of the failure where no address was set."""


class ServiceFailed(Exception):
    """A service does not answer in time, or fails; `kind` and `detail` are what it says itself, where it does."""

    def __init__(self, service: str, kind: str = "", detail: str | None = None) -> None:
        super().__init__(service)
        self.service = service
        self.kind = kind
        self.detail = detail


@dataclass
class Refused(Exception):
    """A service has refused a call, and says why; `errors` name the parts of the body that are wrong."""

    status: int
    kind: str
    title: str
    detail: str | None
    errors: list[dict[str, str]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service has answered."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def revision(self) -> str | None:
        """The ETag, which a change sends as If-Match."""
        return self.headers.get("etag")


class Services:
    """Clients of the services, by their names."""

    def __init__(self, clients: Mapping[str, HttpClient]) -> None:
        """`clients`: one for each service."""
        self._clients = clients

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()

    async def call(
        self,
        token: str,
        service: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """Call a service with a user's access token.

        Args:
            token: the access token.
            service: its name, as the settings have it.
            method: of HTTP.
            path: below the service's URL.
            headers: further headers.
            **options: `params` and `json`, as httpx takes them.

        Raises:
            Unauthenticated: the token is not valid any more.
            Refused: the service has refused the call.
            ServiceFailed: it does not answer, or fails.
        """
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                response = await self._clients[service].request(method, path, headers=sent, **options)
        except (httpx.TransportError, ServerUnavailable, TimeoutError) as error:
            raise ServiceFailed(service) from error
        if response.status_code == 401:
            raise Unauthenticated("Your session has ended; log in again.")
        if response.is_server_error or response.status_code == 429:
            raise ServiceFailed(service, *said_by(response))
        body = response.json() if response.content else None
        if response.is_error:
            raise _refusal(response.status_code, body)
        return Answer(response.status_code, body, response.headers)


def said_by(response: httpx.Response) -> tuple[str, str | None]:
    """The kind and the detail of a problem; a proxy before the service may send anything."""
    try:
        body = response.json()
    except ValueError:
        return "", None
    if not isinstance(body, dict):
        return "", None
    return str(body.get("type", "")).rpartition(":")[2], body.get("detail")


_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "trace_id", "errors"})


def _refusal(status: int, body: Any) -> Refused:
    said = body if isinstance(body, dict) else {}
    return Refused(
        status,
        str(said.get("type", "")).rpartition(":")[2],
        str(said.get("title", status)),
        said.get("detail"),
        list(said.get("errors", ())),
        {name: value for name, value in said.items() if name not in _MEMBERS},
    )
