"""The form file, read and checked once: a mistake in it ends the start with the field and what is wrong."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FILE = Path(__file__).parent / "application.yaml"


class FormField(BaseModel):
    """One question: `pointer` says where the answer goes in the body, `options` are messages by their codes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    pointer: Annotated[str, Field(pattern=r"^(/[a-z][a-z0-9_]*)+$")]
    kind: Literal["product", "amount", "number", "text", "choice", "scale", "flag"]
    label: str
    options: Mapping[str | int, str] = {}
    least: int | None = None
    most: int | None = None


class FormSection(BaseModel):
    """Questions under one heading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: str
    fields: Sequence[FormField]


# What a record has besides the answers of the form.
_OTHERS: Mapping[str, str] = {
    "age_years": "Age in years",
    "currency": "Currency",
    "parties": "Parties",
    "score": "Score",
}


@cache
def application_form() -> Sequence[FormSection]:
    """The form of an application; raises pydantic's ValidationError for a file that is none."""
    return TypeAdapter(list[FormSection]).validate_python(yaml.safe_load(FILE.read_text(encoding="utf-8")))


@cache
def form_fields() -> Mapping[str, FormField]:
    """Every question by its name."""
    return {field.name: field for section in application_form() for field in section.fields}


def shown(name: str, value: object) -> tuple[str, str]:
    """The messages for a question and an answer, as they are in the catalogue; the answer itself where it is none."""
    field = form_fields().get(name)
    if field is None:
        return _OTHERS.get(name, name.replace("_", " ").capitalize()), str(value)
    if field.kind == "flag":
        return field.label, "Yes" if str(value).lower() == "true" else "No"
    by_text = {str(code): text for code, text in field.options.items()}
    return field.label, by_text.get(str(value), str(value))
