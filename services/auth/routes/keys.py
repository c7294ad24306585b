"""HTTP for everybody who verifies tokens: the public keys and the ended sessions."""

import hashlib
from typing import Annotated, Any

from fastapi import Header, Response

from services.auth.routes.callers import Auth
from services.auth.schemas import RevocationList
from services.auth.service import utc_now
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.problems import Unavailable, documented

JWKS_MAX_AGE_SECONDS = 60

router = bounded_router()


@router.get("/.well-known/jwks.json", responses=documented(Unavailable), tags=["keys"])
async def jwks(auth: Auth, response: Response) -> dict[str, list[dict[str, Any]]]:
    """The public keys that verify access tokens."""
    if auth.keys.is_empty:
        raise Unavailable("The signing keys could not be loaded yet; try again shortly.")
    response.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_SECONDS}"
    return auth.keys.jwks(utc_now())


@router.get(
    "/revocations",
    response_model=RevocationList,
    responses={
        **documented(Unavailable),
        304: {"description": "The list is the one that If-None-Match names."},
    },
    tags=["keys"],
)
async def revocations(
    auth: Auth,
    if_none_match: Annotated[str | None, Header(description="The ETag of the last answer.")] = None,
) -> Response:
    """List the ended sessions whose tokens may not have expired yet.

    Like the public keys, the list is public for everybody who verifies tokens. A session's id says nothing about its
    user and gives no access.
    """
    sids = await auth.ended.list()
    tag = f'"{hashlib.sha256(b"".join(sid.bytes for sid in sids)).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match == tag:
        return Response(status_code=304, headers=headers)
    return Response(
        RevocationList(sids=list(sids)).model_dump_json(), headers=headers, media_type="application/json"
    )
