"""The use cases of taking in; each is a transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from services.chassis.database import ApplicationDatabase
from services.chassis.web.input.json_body import InvalidJson, NestedTooDeep, nesting
from services.lineage import storing
from services.lineage.errors import InvalidEvent, TooManyEvents
from services.lineage.events.model import Fault, check
from services.lineage.events.projection import Event

MOST_BYTES = 4 << 20
MOST_EVENTS = 1_000
DEEPEST = 64


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Refused:
    """An event of a batch that is not valid, by its place, and why."""

    index: int
    faults: Sequence[tuple[str, str]]


def parse(body: bytes) -> Any:
    """The value of a body; raises InvalidJson, NestedTooDeep."""
    if nesting(body) > DEEPEST:
        raise NestedTooDeep(f"Nest arrays and objects at most {DEEPEST} deep.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"The body is not valid JSON in UTF-8 (character {error.pos}).") from None


class Intake:
    """Keeps events, and what follows from them."""

    def __init__(self, database: ApplicationDatabase, *, clock: Callable[[], datetime] = utc_now) -> None:
        """`clock` tells the time."""
        self._database = database
        self._clock = clock

    async def keep(self, content: Mapping[str, Any]) -> None:
        """Keep one event, and project it; one that is known changes nothing.

        Raises:
            InvalidEvent: it is not OpenLineage.
        """
        try:
            check(content)
        except Fault as fault:
            raise InvalidEvent("Correct the parts named in errors.", errors=described(fault.faults)) from None
        async with self._database.transaction() as tx:
            await storing.keep(tx, [Event.of(content)], self._clock())

    async def keep_all(self, contents: Any) -> tuple[int, list[Refused]]:
        """Keep the valid events of a batch; returns how many it has, and which of them were refused.

        Raises:
            InvalidEvent: it is no list.
            TooManyEvents: it has more than MOST_EVENTS.
        """
        if not isinstance(contents, list):
            raise InvalidEvent("Send a list of events.", errors=described([("", "a batch is a JSON array")]))
        if len(contents) > MOST_EVENTS:
            raise TooManyEvents(f"Send at most {MOST_EVENTS} events at once.")
        valid, refused = [], []
        for index, content in enumerate(contents):
            try:
                check(content)
            except Fault as fault:
                refused.append(Refused(index, fault.faults))
            else:
                valid.append(Event.of(content))
        if valid:
            async with self._database.transaction() as tx:
                await storing.keep(tx, valid, self._clock())
        return len(contents), refused


def described(faults: Sequence[tuple[str, str]], *, within: str = "/body") -> list[dict[str, str]]:
    """Faults as problems name them."""
    return [{"pointer": within + pointer, "detail": detail} for pointer, detail in faults]
