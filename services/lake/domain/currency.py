"""The type of a currency in requests: an ISO 4217 code of a currency for money."""

from typing import Annotated

from pydantic import AfterValidator, Strict, WithJsonSchema

from services.lake.domain.money import MINOR_UNITS


def _known(code: str) -> str:
    if code not in MINOR_UNITS:
        raise ValueError("is no code of ISO 4217 that money can be in")
    return code


Currency = Annotated[
    str,
    Strict(),
    AfterValidator(_known),
    WithJsonSchema(
        {
            "type": "string",
            "enum": sorted(MINOR_UNITS),
            "description": "Code of ISO 4217; withdrawn ones count.",
            "examples": ["EUR"],
        }
    ),
]
"""A currency; withdrawn ones count, those without a minor unit do not."""
