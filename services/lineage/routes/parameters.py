"""Parameters of the reading routes, and names in paths."""

from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import Path, Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from starlette.types import ASGIApp, Receive, Scope, Send

from services.chassis.web.input.strict import WholeText
from services.lineage.events.model import LONGEST_NAME


class EncodedPaths:
    """Gives routes the path as it was sent: a name in a path may have slashes, which are encoded there.

    Each name is decoded by its parameter, after the route was found.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            scope["path"] = scope["raw_path"].decode("latin-1")
        await self._app(scope, receive, send)


def _decoded(value: str) -> str:
    try:
        name = unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise ValueError("is not percent-encoded UTF-8") from None
    if not name or len(name) > LONGEST_NAME or "\0" in name:
        raise ValueError(f"give a name of 1 to {LONGEST_NAME} characters without NUL")
    return name


def _python_flag(value: object) -> object:
    # marquez-python writes a flag as Python does.
    if isinstance(value, str):
        if value.lower() not in {"true", "false"}:
            raise ValueError("give true or false")
        return value.lower() == "true"
    return value


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("has a NUL")
    return value


Named = Annotated[
    str, Path(min_length=1, description="Percent-encoded, slashes too."), AfterValidator(_decoded)
]
Limit = Annotated[WholeText, Query(ge=0, le=1000, description="At most this many.")]
Offset = Annotated[WholeText, Query(ge=0, le=10_000_000, description="Leave out this many first.")]
Depth = Annotated[WholeText, Query(ge=0, le=100, description="At most this many edges away.")]
Text = Annotated[str, AfterValidator(_without_nul)]
PythonFlag = Annotated[
    bool,
    BeforeValidator(_python_flag),
    WithJsonSchema({"type": "boolean"}),
]
NodeId = Annotated[
    Text,
    Query(
        alias="nodeId",
        min_length=1,
        max_length=4 * LONGEST_NAME,
        description="dataset:NAMESPACE:NAME or job:NAMESPACE:NAME.",
        examples=["dataset:example:to"],
    ),
]
