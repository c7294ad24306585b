"""Keyset paging: a page starts after the last row of the previous page, despite new rows.

A cursor holds for one caller, one path and one set of parameters. An HMAC binds it to them, so another's cursor,
or one of other filters or of another order, is refused.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Request
from pydantic import Field, SecretStr

from services.chassis.web.identity import Caller, authenticated
from services.chassis.web.input.strict import WholeText
from services.chassis.web.problems import BadRequest

TAG_BYTES = 16
"""Length of a cursor's HMAC: 128 bits, as forging needs the service to check each guess."""
UNBOUND = frozenset({"after", "limit", "facets"})
"""Parameters that neither select nor order rows: the next page may have others."""

KeyValue = str | date
"""A value of a key that pages are ordered by."""
C = TypeVar("C")

Place = datetime | Decimal | int | None
"""A value of a column that pages are ordered by; an instant is aware."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after one row: its value of the column that orders the page, and its id."""

    place: Place
    id: UUID

    @property
    def at(self) -> datetime:
        """The place on a page that is ordered by an instant.

        Raises:
            TypeError: the page is ordered by something else.
        """
        if not isinstance(self.place, datetime):
            raise TypeError("the page is not ordered by an instant")
        return self.place

    def encode(self) -> str:
        """The plain text that a signed cursor contains."""
        match self.place:
            case None:
                spelt = "n"
            case datetime():
                spelt = "t" + self.place.astimezone(UTC).isoformat(timespec="microseconds")
            case Decimal():
                spelt = f"d{self.place:f}"
            case _:
                spelt = f"i{self.place}"
        return f"{spelt} {self.id}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote.

        Raises:
            ValueError: when it did not write this.
        """
        spelt, _, identifier = text.partition(" ")
        kind, value = spelt[:1], spelt[1:]
        try:
            cursor = cls(_PLACES[kind](value), UUID(identifier))
        except (KeyError, InvalidOperation) as error:
            raise ValueError("not a cursor") from error
        if isinstance(cursor.place, datetime) and cursor.place.tzinfo is None:
            raise ValueError("not a cursor")
        if cursor.encode() != text:
            raise ValueError("not a cursor")
        return cursor


class CursorKey:
    """The key that signs the cursors of a service."""

    def __init__(self, key: SecretStr | None) -> None:
        """Without a `key` one is generated: its cursors end with the process."""
        self._key = key.get_secret_value().encode() if key else secrets.token_bytes(32)

    def tag(self, binding: bytes, plain: bytes) -> bytes:
        """The HMAC of a cursor's plain text for what it is bound to."""
        bound = hashlib.sha256(binding).digest()
        return hmac.digest(self._key, bound + plain, "sha256")[:TAG_BYTES]


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one caller, one path and one set of parameters."""

    key: CursorKey
    binding: bytes

    @classmethod
    def of(cls, key: CursorKey, service: str, path: str, caller: UUID, parameters: Collection[Any]) -> Self:
        """Bind cursors to `caller` at `path` of `service` with `parameters`, pairs of name and value, in any order."""
        bound = sorted(pair for pair in parameters if pair[0] not in UNBOUND)
        return cls(key, orjson.dumps([service, path, str(caller), bound]))

    def start(self, after: str | None) -> Cursor | None:
        """The start of the requested page, from the parameter `after`; None for the first page.

        Raises BadRequest when it is no cursor of this caller and these parameters.
        """
        return None if after is None else self._opened(after, Cursor.decode, self.encode)

    def start_key(self, after: str | None) -> tuple[KeyValue, ...]:
        """The same of a page that is ordered by a key: its values in the last row before; empty for the first page."""
        return () if after is None else self._opened(after, _decode_key, self.encode_key)

    def encode(self, cursor: Cursor) -> str:
        """The opaque text that the client sends back as `after`."""
        return self._sealed(cursor.encode())

    def encode_key(self, values: Sequence[KeyValue]) -> str:
        """The same of the values of a key."""
        return self._sealed(orjson.dumps([_spelt(value) for value in values]).decode())

    def _sealed(self, text: str) -> str:
        plain = text.encode()
        return base64.urlsafe_b64encode(self.key.tag(self.binding, plain) + plain).decode().rstrip("=")

    def _opened(self, after: str, decode: Callable[[str], C], encode: Callable[[C], str]) -> C:
        try:
            raw = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
            tag, plain = raw[:TAG_BYTES], raw[TAG_BYTES:]
            if hmac.compare_digest(self.key.tag(self.binding, plain), tag):
                cursor = decode(plain.decode())
                if encode(cursor) == after:
                    return cursor
        except (binascii.Error, ValueError, OverflowError):
            pass
        raise BadRequest(
            "The parameter after is not a cursor of yours for these filters and this order; send `next` of the page "
            "before with the same parameters, or leave it out."
        )

    def next(self, cursor: Cursor | None) -> str | None:
        """The value of a page's member `next`: None on the last page."""
        return None if cursor is None else self.encode(cursor)


async def _cursors(request: Request, caller: Annotated[Caller, Depends(authenticated)]) -> Cursors:
    state = request.app.state
    parameters = request.query_params.multi_items()
    return Cursors.of(state.cursor_key, state.service, request.scope["path"], caller.id, parameters)


CursorsDep = Annotated[Cursors, Depends(_cursors)]
"""The cursors of the request's caller, path and parameters."""
AfterText = Annotated[
    str,
    Field(
        max_length=200,
        description="`next` of the page before, with the same parameters; leave out for the first page.",
    ),
]
Limit = Annotated[WholeText, Field(ge=1, le=200, description="Most items of one page.")]


def _spelt(value: KeyValue) -> str:
    return f"d{value.isoformat()}" if isinstance(value, date) else f"s{value}"


def _decode_key(text: str) -> tuple[KeyValue, ...]:
    return tuple(date.fromisoformat(one[1:]) if one[0] == "d" else one[1:] for one in orjson.loads(text))


_PLACES: dict[str, Any] = {
    "n": lambda _: None,
    "t": datetime.fromisoformat,
    "d": Decimal,
    "i": int,
}
