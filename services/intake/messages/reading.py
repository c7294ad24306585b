"""What a record says: the row that it is and by what it is known, or what is wrong with it.

As with the rows of files, nothing that is said of a fault repeats what the record says.
"""

from dataclasses import dataclass

from services.chassis.web.input.json_body import parse_json
from services.chassis.web.problems import BadRequest
from services.intake.domain import Fault
from services.intake.imports.formats import LARGEST_ROW_BYTES
from services.intake.imports.rows import ReadRow, understood
from services.intake.messages.domain import NUMBER, Received

_NUMBERED = "1 to 64 visible ASCII characters"


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record as it was understood.

    `references` are the numbers by which it is known, the first of them the one that counts; there is none where it
    was not understood.
    """

    row: ReadRow
    references: tuple[str, ...] = ()


def read(record: Received) -> ReadRecord:
    """The row of a record, with its references, or its faults."""
    if not record.readable:
        return _wrong(
            "", "cannot be read: its headers, or those of a record in the same batch, are not in UTF-8"
        )
    if record.value is None:
        return _wrong("", "has no value")
    if len(record.value) > LARGEST_ROW_BYTES:
        return _wrong("", f"is longer than {LARGEST_ROW_BYTES} bytes")
    if record.message_id is not None and not NUMBER.fullmatch(record.message_id):
        return _wrong("", f"has a header message-id that is not {_NUMBERED}")
    try:
        value = parse_json(record.value)
    except BadRequest as problem:
        return _wrong("", (problem.detail or problem.title()).replace("The body", "The record"))
    row = understood(record.origin.kind, 0, value)
    return _numbered(record, row) if row.row is not None else ReadRecord(row)


def _numbered(record: Received, read_row: ReadRow) -> ReadRecord:
    row = read_row.row
    if row is None:
        raise ValueError("the row was not understood")
    number = record.message_id or row.external_ref or _key(record)
    if number is None:
        return _wrong(
            "/external_ref",
            f"is missing, and neither a header message-id nor the key is a number of the record: {_NUMBERED}",
        )
    if row.external_ref is None:
        # The same row says the same, whether its number stands in it or beside it.
        row = row.model_copy(update={"external_ref": number})
    # By its own number it is known to files, too, which have no headers.
    references = (number,) if row.external_ref == number else (number, str(row.external_ref))
    return ReadRecord(ReadRow(0, row), references)


def _key(record: Received) -> str | None:
    try:
        text = (record.key or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if NUMBER.fullmatch(text) else None


def _wrong(pointer: str, detail: str) -> ReadRecord:
    return ReadRecord(ReadRow(0, None, (Fault(pointer, detail),)))
