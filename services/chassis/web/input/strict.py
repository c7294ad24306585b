"""Types for values of requests (bodies, query parameters, drafts), parsed strictly and then normalised.

Pydantic is lenient by default: 0 is a day, "yes" is true, digits of any width are a number. Here a value has one
spelling, which determines the stored value. Every type refuses ambiguous input, and its error says what it expects.
"""

import re
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from services.chassis.characters import has_letter, line, lines, utf16_length

INTEGER_DIGITS = 15
"""Digits before the point; with `DECIMALS` this is numeric(19,4), the type of money."""
DECIMALS = 4

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_IDENTIFIER = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DECIMAL = rf"(0|[1-9][0-9]{{0,{INTEGER_DIGITS - 1}}})(\.[0-9]{{1,{DECIMALS}}})?"
_EXACT = re.compile(_DECIMAL)
# Controls, soft hyphen, bidirectional marks and overrides, and characters without width: some of the refused ones.
_UNSEEN = r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
_UNSEEN_IN_LINES = _UNSEEN.replace(r"\u0000-\u001f", r"\u0000-\u0008\u000b\u000c\u000e-\u001f")

Flag = Annotated[bool, Strict()]
"""true or false; not a text or a number."""

Whole = Annotated[int, Strict()]
"""A whole number of a body; not a text, a fraction or a truth value."""


def _day(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("give a day as YYYY-MM-DD, such as 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("there is no such day") from None


Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "examples": ["2026-01-31"],
        }
    ),
]
"""A calendar day, written YYYY-MM-DD."""


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("give an instant with its offset, such as 2026-01-31T09:30:00Z; encode + as %2B")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such instant") from None


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), le=datetime(2999, 12, 31, tzinfo=UTC)),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": f"^{_INSTANT.pattern}$",
            "examples": ["2026-01-31T09:30:00Z"],
        }
    ),
]
"""An instant with its offset (RFC 3339), moved to UTC."""


def _whole_text(value: object) -> object:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError("give a whole number in digits")
        return int(value)
    return value


WholeText = Annotated[int, BeforeValidator(_whole_text)]
"""A whole number of a query or a path: plain digits, no sign, no leading zero."""


def _flag_text(value: object) -> object:
    if isinstance(value, str):
        if value not in {"true", "false"}:
            raise ValueError("give true or false")
        return value == "true"
    return value


FlagText = Annotated[bool, BeforeValidator(_flag_text)]
"""true or false of a query."""


def _identifier(value: object) -> object:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ValueError("give a UUID of 36 characters")
    return UUID(value)


Identifier = Annotated[
    UUID,
    BeforeValidator(_identifier),
    WithJsonSchema({"type": "string", "format": "uuid", "pattern": f"^{_IDENTIFIER.pattern}$"}),
]
"""A UUID in its usual spelling of 36 characters."""


def exact_number(text: str) -> Decimal | float:
    """Convert a JSON number: an exact value with a point; a float with an exponent, which no type here accepts.

    For `json.loads(…, parse_float=exact_number)`: a float would lose the digits that make an amount invalid.
    """
    return float(text) if "e" in text.lower() else Decimal(text)


def _exact(value: object) -> object:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        spelt = str(value)
    else:
        spelt = value if isinstance(value, str) else ""
    if not _EXACT.fullmatch(spelt):
        raise ValueError(
            f"give an amount in digits, at most {INTEGER_DIGITS} before a point and {DECIMALS} after, such as 1200.50"
        )
    # In its stored form, so that 5 and "5.00" are the same request.
    return Decimal(spelt).quantize(Decimal(1).scaleb(-DECIMALS))


def _above_zero(amount: Decimal) -> Decimal:
    if not amount:
        raise ValueError("give an amount above 0")
    return amount


_NUMBER = {"type": "number", "maximum": 10**INTEGER_DIGITS - 1}

AmountOrZero = Annotated[
    Decimal,
    BeforeValidator(_exact),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": f"^{_DECIMAL}$"}, {**_NUMBER, "minimum": 0}],
            "examples": ["0"],
        },
        mode="validation",
    ),
]
"""An amount of at least 0, as text or number, exact."""

Amount = Annotated[
    Decimal,
    BeforeValidator(_exact),
    AfterValidator(_above_zero),
    WithJsonSchema(
        {
            "description": "Above 0, in digits with at most the decimals of its currency; text or number.",
            "anyOf": [
                {"type": "string", "pattern": rf"^(?!0(\.0+)?$){_DECIMAL}$"},
                {**_NUMBER, "exclusiveMinimum": 0},
            ],
            "examples": ["1200.50"],
        },
        mode="validation",
    ),
]
"""An amount above 0, as text or number, exact."""


@dataclass(frozen=True, slots=True)
class _Text(ABC):
    """The rules of a text, as an annotation of `str`: at most `longest` characters and places of a column."""

    longest: int

    schema: ClassVar[dict[str, Any]] = {"minLength": 1, "pattern": rf"^(?=.*\S)[^{_UNSEEN}]*$"}

    def check(self, value: str) -> str:
        """The normalised text; raises ValueError, whose message does not repeat the text."""
        # Check the length before any other work.
        if len(value) > self.longest:
            raise ValueError(f"has more than {self.longest} characters")
        made = self.normalise(value)
        # Normalisation may make a text longer, and SQL Server counts some characters twice.
        if utf16_length(made) > self.longest:
            raise ValueError(f"has more than {self.longest} characters as it is stored")
        return made

    @abstractmethod
    def normalise(self, value: str) -> str:
        """The text as it is stored; raises ValueError."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema: a strict string, then `check`."""
        del source, handler
        return core_schema.no_info_after_validator_function(self.check, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The part of the rules that JSON Schema can express."""
        del schema, handler
        return {"type": "string", "maxLength": self.longest, **self.schema}


@dataclass(frozen=True, slots=True)
class Name(_Text):
    """A name of people or things: one line, with a letter."""

    def normalise(self, value: str) -> str:
        """The name as it is stored; raises ValueError."""
        made = line(value)
        if not has_letter(made):
            raise ValueError("has no letter")
        return made


@dataclass(frozen=True, slots=True)
class Label(_Text):
    """A short text for people: one line, with a letter or a digit."""

    def normalise(self, value: str) -> str:
        """The text as it is stored; raises ValueError."""
        made = line(value)
        if not any(one.isalnum() for one in made):
            raise ValueError("has neither letter nor digit")
        return made


@dataclass(frozen=True, slots=True)
class Remark(_Text):
    """A text of several lines for people, which may be empty."""

    schema: ClassVar[dict[str, Any]] = {"pattern": f"^[^{_UNSEEN_IN_LINES}]*$"}

    def normalise(self, value: str) -> str:
        """The text as it is stored; raises ValueError."""
        return lines(value)


@dataclass(frozen=True, slots=True)
class Words(_Text):
    """Search words; may be empty."""

    schema: ClassVar[dict[str, Any]] = {"pattern": f"^[^{_UNSEEN}]*$"}

    def normalise(self, value: str) -> str:
        """The normalised words; raises ValueError."""
        return line(value)


@dataclass(frozen=True, slots=True)
class Reference(_Text):
    """A number on a document: letters and plain digits in upper case, with blanks, dashes, dots and slashes between."""

    def normalise(self, value: str) -> str:
        """The number as it is stored; raises ValueError."""
        made = line(unicodedata.normalize("NFKC", value)).upper()
        if not all(has_letter(one) or one in _REFERENCE for one in made):
            raise ValueError(
                "has something else than letters, plain digits, blanks, dashes, dots and slashes"
            )
        if not reference_key(made):
            raise ValueError("has neither letter nor digit")
        return made


_SEPARATORS = " -./"
_REFERENCE = frozenset("0123456789" + _SEPARATORS)


def reference_key(number: str) -> str:
    """The common form of all spellings of a number: without case, width and separators."""
    made = unicodedata.normalize("NFKC", number).upper()
    return "".join(one for one in made if one not in _SEPARATORS and not one.isspace())
