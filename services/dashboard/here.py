"""Who reads a page, in which language, and what they may call: what every part of a page needs to know."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from services.dashboard.clients.prometheus import Prometheus
from services.dashboard.clients.services import Answer, Services
from services.dashboard.sessions.domain import Person, Session
from services.dashboard.texts.catalogue import Texts
from services.dashboard.traces.stores import TraceStore


@dataclass(frozen=True, slots=True)
class Here:
    """The reader of the page that is being made."""

    session: Session
    texts: Texts
    theme: str
    services: Services
    prometheus: Prometheus
    traces: TraceStore
    form_token: str
    """Proves that a form was filled in on one of our pages."""

    @property
    def person(self) -> Person:
        """Who is logged in."""
        return self.session.person

    async def call(self, service: str, method: str, path: str, **options: Any) -> Answer:
        """Call a service as this person; raises what `Services.call` raises."""
        return await self.services.call(self.session.access_token, service, method, path, **options)


_here: ContextVar[Here] = ContextVar("here")


def here() -> Here:
    """The reader of the request that is being answered; raises LookupError outside of one."""
    return _here.get()


@contextmanager
def being(reader: Here) -> Iterator[None]:
    """Answer a request of `reader` within the block."""
    token = _here.set(reader)
    try:
        yield
    finally:
        _here.reset(token)
