"""Values that a browser has sent with a callback: anything may be in them, so each is read as what it must be."""

from collections.abc import Collection
from typing import Any

from services.chassis.web.problems import BadRequest


def text(value: Any, longest: int = 200) -> str:
    """A text without blanks around it; nothing is an empty one. Raises BadRequest for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise BadRequest(f"Send a text of at most {longest} characters.")
    return value.strip()


def number_text(value: Any) -> str:
    """A number as the user typed it, without separators. Raises BadRequest for what is no number or text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise BadRequest("Send a number.")
    return (
        "" if value is None else text(str(value), 40).replace(",", "").replace("\u00a0", "").replace(" ", "")
    )


def choices(value: Any, known: Collection[str] | None = None, most: int = 50) -> list[str]:
    """A list of codes, those of `known` where that is given. Raises BadRequest for anything else."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) for one in value):
        raise BadRequest("Send a list of texts.")
    return [one for one in value if known is None or one in known]


def choice(value: Any, known: Collection[str], otherwise: str) -> str:
    """One code of `known`; `otherwise` where it is none."""
    return value if isinstance(value, str) and value in known else otherwise
