"""Keyset paging over (instant, id): a page starts after the last row of the previous page, despite new rows."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from services.chassis.web.input.strict import WholeText
from services.chassis.web.problems import BadRequest


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after one row: its instant (aware) and its id."""

    at: datetime
    id: UUID

    def encode(self) -> str:
        """The opaque text that clients send back as `after`."""
        plain = f"{self.at.astimezone(UTC).isoformat(timespec='microseconds')} {self.id}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote.

        Raises:
            ValueError: when it did not write this.
        """
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode(
                "ascii"
            )
        except (binascii.Error, UnicodeError) as error:
            raise ValueError("not a cursor") from error
        at, _, identifier = plain.partition(" ")
        cursor = cls(datetime.fromisoformat(at), UUID(identifier))
        if cursor.at.tzinfo is None or cursor.encode() != text:
            raise ValueError("not a cursor")
        return cursor


AfterText = Annotated[
    str,
    Field(max_length=200, description="`next` of the page before; leave out for the first page."),
]
Limit = Annotated[WholeText, Field(ge=1, le=200, description="Most items of one page.")]


def start_of_page(after: str | None) -> Cursor | None:
    """The start of the requested page, from the parameter `after`; None for the first page.

    Raises BadRequest when it is no cursor.
    """
    if after is None:
        return None
    try:
        return Cursor.decode(after)
    except (ValueError, OverflowError):
        raise BadRequest(
            "The parameter after is not a cursor; send `next` of the page before, or leave it out."
        ) from None
