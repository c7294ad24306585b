"""A service with one guarded route and an open form, for attacks: `python -m tests.security.guarded_process`.

Its environment is that of every service, and JWKS, the key set that it trusts.
"""

import json
import os
from typing import Annotated, Any

from fastapi import Body, Depends, Form
from pydantic import BaseModel

from services.chassis.settings import ServiceSettings, load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.identity import Caller, TokenVerifier, require
from services.chassis.web.input.body_limit import accepts_body, bounded_router

SMALL_BYTES = 4096

router = bounded_router()


class Login(BaseModel):
    """A form."""

    username: str
    password: str


@router.post("/decisions")
@accepts_body(SMALL_BYTES)
async def decide(_: Annotated[Caller, Depends(require("decide"))], body: Annotated[Any, Body()]) -> Any:
    """Give the body back."""
    return body


@router.post("/notes")
async def note(_: Annotated[Caller, Depends(require("decide"))], body: Annotated[Any, Body()] = None) -> Any:
    """Give the body back; none is needed."""
    return body


@router.post("/token")
async def log_in(form: Annotated[Login, Form()]) -> str:
    """Tell who wants to log in."""
    return form.username


def application(telemetry: Telemetry, verifier: TokenVerifier, settings: ServiceSettings) -> Any:
    """The service."""
    return create_app(
        service="guarded",
        title="Guarded",
        summary="For attacks.",
        settings=settings,
        telemetry=telemetry,
        routers=[router],
        verifier=verifier,
    )


if __name__ == "__main__":
    own = load_settings(ServiceSettings)
    trusted = TokenVerifier("creditmesh", json.loads(os.environ["JWKS"]))
    serve(application(Telemetry.start("guarded"), trusted, own), own)
