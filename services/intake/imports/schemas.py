"""Parameters and bodies of the HTTP API of imports."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from services.chassis.web.paging import Cursor, Cursors
from services.intake.imports.domain import FileFormat, Import, ImportKind, ImportState

RowStatus = Annotated[
    Literal["rejected", "made"],
    Field(
        description="`rejected`: what is wrong with each; `made`: what it has become. Repeated rows are in neither."
    ),
]


class ImportView(BaseModel):
    """An import: `made`, `repeated` and `rejected` count its rows that are done, of `rows` that its file has.

    `line` is the last line that is done. Repeated are rows that were written before, by this file or another one.
    `failed` means that the file cannot be read any more; what was written before stays.
    """

    id: UUID
    kind: ImportKind
    format: FileFormat
    state: ImportState
    size_bytes: Annotated[int, Field(description="Unpacked.")]
    sha256: Annotated[str, Field(description="SHA-256 of the unpacked file, in hexadecimal digits.")]
    rows: int
    line: int
    made: int
    repeated: int
    rejected: int
    rows_per_second: Annotated[float | None, Field(description="Rows done for each second since the start.")]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, one: Import) -> Self:
        """Show an import."""
        rate = one.rows_per_second
        return cls(
            id=one.id,
            kind=one.kind,
            format=one.format,
            state=one.state,
            size_bytes=one.size_bytes,
            sha256=one.sha256.hex(),
            rows=one.row_count,
            line=one.line,
            made=one.made,
            repeated=one.repeated,
            rejected=one.rejected,
            rows_per_second=None if rate is None else round(rate, 1),
            created_at=one.created_at,
            started_at=one.started_at,
            ended_at=one.ended_at,
        )


class ImportPage(BaseModel):
    """A page of imports, the newest first; `next` is the next page's `after`, null on the last page."""

    items: list[ImportView]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[Import], limit: int, cursors: Cursors) -> Self:
        """Show the first `limit` of `found`, which has one more where there is a next page."""
        page = found[:limit]
        more = Cursor(page[-1].created_at, page[-1].id) if len(found) > limit else None
        return cls(items=[ImportView.of(one) for one in page], next=cursors.next(more))
