"""Rows of files: the bodies of the API's requests, written one after another.

A row is a party and its application, or a payment under a loan. CSV has a column for each member, named by its path:
`party.full_name`. What is wrong with a row is said without what the row says: the report of an import is kept longer,
and read by more people, than the file.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field, ValidationError

from services.chassis.web.input.json_body import parse_json
from services.chassis.web.input.strict import Flag, Identifier
from services.chassis.web.problems import BadRequest
from services.intake.domain import Fault, Participant, PartyRole
from services.intake.imports.domain import MOST_FAULTS, FileFormat, ImportKind
from services.intake.imports.errors import FileRefused
from services.intake.imports.formats import LARGEST_ROW_BYTES, Record, Splitter, Unpacker, cells_of
from services.intake.schemas import ApplicationTerms, Body, NewParty
from services.intake.servicing.schemas import NewTransaction
from services.intake.servicing.service import Recording

ExternalRef = Annotated[
    str,
    Field(
        pattern=r"^[\x21-\x7e]{1,64}$",
        description="The sender's own number of the row: what is sent again with the same one is made once.",
        examples=["2026-00017"],
    ),
]


class RowTerms(ApplicationTerms):
    """What the party of the row applies for; `submit: false` keeps it as a draft."""

    submit: Flag = True


class ApplicationRow(Body):
    """A party to put on record, and the application that it is the borrower of."""

    external_ref: ExternalRef | None = None
    party: NewParty
    application: RowTerms


class PaymentRow(NewTransaction):
    """A payment under a loan."""

    external_ref: ExternalRef | None = None
    loan_id: Identifier

    def to_domain(self) -> Recording:
        """The transaction as the use case knows it."""
        return Recording(self.kind, self.amount, self.currency, self.effective_on)


Row = ApplicationRow | PaymentRow
MODELS: Mapping[ImportKind, type[Row]] = {
    ImportKind.APPLICATIONS: ApplicationRow,
    ImportKind.PAYMENTS: PaymentRow,
}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_UNKNOWN_MEMBER = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_NO_OBJECT = frozenset({"model_type", "dataclass_type", "dict_type"})
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ReadRow:
    """What was read from a record: a row, or what is wrong with it."""

    line: int
    row: Row | None
    faults: tuple[Fault, ...] = ()

    @property
    def sha256(self) -> bytes:
        """The hash of the row as it was understood; raises ValueError when it was not."""
        if self.row is None:
            raise ValueError(f"the row of line {self.line} was not understood")
        # A member that a later version adds, and that is not given, changes no hash of a row that was written.
        return sha256(self.row.model_dump_json(exclude_defaults=True).encode()).digest()


class RowReader:
    """Reads the rows of one file from its records, in their order."""

    def __init__(self, kind: ImportKind, file_format: FileFormat) -> None:
        """What the rows become, and how they are written."""
        self._kind = kind
        self._format = file_format
        self._header: list[str] | None = None

    def is_row(self, record: Record) -> bool:
        """Whether a record holds a row: the first of CSV is the header. Raises FileRefused when that is none."""
        if self._format is FileFormat.NDJSON or self._header is not None:
            return True
        self._header = _header(record, self._kind)
        return False

    def read(self, record: Record) -> ReadRow:
        """The row of a record for which `is_row` was true."""
        if record.raw is None:
            return _wrong(record, f"is longer than {LARGEST_ROW_BYTES} bytes")
        try:
            text = record.raw.decode()
        except UnicodeDecodeError:
            return _wrong(record, "is not in UTF-8")
        try:
            value = (
                parse_json(record.raw)
                if self._format is FileFormat.NDJSON
                else _members(cells_of(text), self._header or (), self._kind)
            )
        except BadRequest as problem:
            return _wrong(record, (problem.detail or problem.title()).replace("The body", "The line"))
        except ValueError as error:
            return _wrong(record, str(error))
        return understood(self._kind, record.line, value)


class FileRows:
    """The rows of one file, piece by piece, for who takes the file and for who writes its rows: both find the same."""

    def __init__(
        self, kind: ImportKind, file_format: FileFormat, *, gzipped: bool, max_bytes: int, known: bool = False
    ) -> None:
        """What the rows become, and how the file is written; `max_bytes` and `known` see `Unpacker`."""
        self._unpacker = Unpacker(gzipped=gzipped, max_bytes=max_bytes, known=known)
        self._splitter = Splitter(quoted=file_format is FileFormat.CSV)
        self._reader = RowReader(kind, file_format)
        self._hash = sha256()

    @property
    def size(self) -> int:
        """How many bytes have been unpacked."""
        return self._unpacker.size

    @property
    def sha256(self) -> bytes:
        """The hash of what has been unpacked."""
        return self._hash.digest()

    def feed(self, piece: bytes) -> Iterator[list[Record]]:
        """The records of rows that end in a piece, a list for each part of what it unpacks to.

        Raises:
            FileRefused: it is not what it says it is.
            ContentTooLarge: it is more than the limit.
            ExpandsTooMuch: it is packed too tightly.
        """
        for part in self._unpacker.feed(piece):
            self._hash.update(part)
            yield self._rows(self._splitter.feed(part))

    def end(self) -> list[Record]:
        """The records of rows that end with the file; raises FileRefused when it was cut."""
        self._unpacker.end()
        return self._rows(self._splitter.end())

    def read(self, record: Record) -> ReadRow:
        """The row of one of the records."""
        return self._reader.read(record)

    def _rows(self, records: Iterable[Record]) -> list[Record]:
        return [record for record in records if self._reader.is_row(record)]


def understood(kind: ImportKind, line: int, value: Any) -> ReadRow:
    """The row that a parsed `value` is, or what is wrong with it."""
    try:
        return ReadRow(line, MODELS[kind].model_validate(value))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        return ReadRow(line, None, tuple(_fault(kind, one) for one in faults[:MOST_FAULTS]))


def participants(party_id: Any) -> tuple[Participant, ...]:
    """The parties of a row's application: its one borrower."""
    return (Participant(party_id, PartyRole.BORROWER),)


@cache
def columns(kind: ImportKind) -> Mapping[str, str]:
    """The columns of CSV, each with the JSON type of its member: the required ones as well as the others."""
    return {path: found for path, found, _ in _leaves(MODELS[kind].model_json_schema())}


@cache
def required_columns(kind: ImportKind) -> frozenset[str]:
    """The columns without which no row can be valid."""
    return frozenset(path for path, _, needed in _leaves(MODELS[kind].model_json_schema()) if needed)


def _leaves(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    definitions = schema.get("$defs", {})

    def below(part: Mapping[str, Any], path: str, *, needed: bool) -> Iterator[tuple[str, str, bool]]:
        if "$ref" in part:
            part = definitions[part["$ref"].rpartition("/")[2]]
        kinds = [one for one in part.get("anyOf", ()) if one.get("type") != "null"]
        if len(kinds) == 1:
            yield from below(kinds[0], path, needed=needed)
        elif "properties" in part:
            for name, one in part["properties"].items():
                inner = f"{path}.{name}" if path else name
                yield from below(one, inner, needed=needed and name in part.get("required", ()))
        else:
            # What has several types, such as an amount, is written as text.
            yield path, part.get("type", "string"), needed

    return below(schema, "", needed=True)


def _header(record: Record, kind: ImportKind) -> list[str]:
    if record.raw is None:
        raise FileRefused(f"its header is longer than {LARGEST_ROW_BYTES} bytes")
    try:
        names = cells_of(record.raw.decode())
    except ValueError:
        raise FileRefused("its header is not CSV in UTF-8, as RFC 4180 has it") from None
    # By their numbers: if there is no header, these are the values of the first row.
    if unknown := [number for number, name in enumerate(names, 1) if name not in columns(kind)]:
        shown = ", ".join(str(number) for number in unknown[:MOST_FAULTS])
        raise FileRefused(f"the names of these columns are not known: {shown}; the first line is the header")
    if len(set(names)) != len(names):
        raise FileRefused("two columns have the same name")
    if missing := sorted(required_columns(kind).difference(names)):
        raise FileRefused(f"these columns are missing: {', '.join(missing)}")
    return names


def _members(cells: Sequence[str], header: Sequence[str], kind: ImportKind) -> dict[str, Any]:
    if len(cells) != len(header):
        raise ValueError(f"has {len(cells)} cells, and the header has {len(header)}")
    members: dict[str, Any] = {}
    for path, cell in zip(header, cells, strict=True):
        # An empty cell is a member that is left out.
        if cell:
            *above, name = path.split(".")
            place = members
            for one in above:
                place = place.setdefault(one, {})
            place[name] = _typed(cell, columns(kind)[path])
    return members


def _typed(cell: str, json_type: str) -> Any:
    # What is not written like one stays a text, and the model says what it expects.
    if json_type == "integer" and _WHOLE.fullmatch(cell):
        return int(cell)
    return _FLAGS.get(cell, cell) if json_type == "boolean" else cell


def _wrong(record: Record, detail: str) -> ReadRow:
    if record.lines > 1:
        detail = f"lines {record.line} to {record.line + record.lines - 1}: {detail}"
    return ReadRow(record.line, None, (Fault("", detail),))


def _fault(kind: ImportKind, error: Any) -> Fault:
    path = [str(part) for part in error["loc"]]
    if error["type"] in _UNKNOWN_MEMBER:
        # What a member is called comes from the file: the known ones are named instead.
        above = ".".join(path[:-1])
        start = f"{above}." if above else ""
        known = {
            name.removeprefix(start).partition(".")[0] for name in columns(kind) if name.startswith(start)
        }
        path, detail = path[:-1], f"has a member that is none of {', '.join(sorted(known))}"
    elif error["type"] in _NO_OBJECT:
        detail = "must be an object"
    else:
        # Pydantic puts these two words before the message of our validators.
        detail = error["msg"].removeprefix("Value error, ")
    return Fault("".join(f"/{part}" for part in path), detail[:1000])
