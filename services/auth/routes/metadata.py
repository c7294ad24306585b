"""HTTP for clients that configure themselves: the metadata of RFC 8414 and of OpenID Connect Discovery."""

from typing import Any, get_args

from fastapi import Request

from services.auth.routes.callers import Auth, UseCases
from services.auth.schemas import Grant, Metadata, ProviderMetadata
from services.chassis.web.identity import ALGORITHM
from services.chassis.web.input.body_limit import bounded_router
from services.lake.domain.roles import Role, scopes_of

CLIENT_METHODS = ["client_secret_basic", "client_secret_post"]

router = bounded_router()


@router.get("/.well-known/oauth-authorization-server", tags=["keys"])
async def metadata(request: Request, auth: Auth) -> Metadata:
    """The endpoints and abilities of this authorization server."""
    return Metadata(**_members(request, auth))


@router.get("/.well-known/openid-configuration", tags=["keys"])
async def openid_configuration(request: Request, auth: Auth) -> ProviderMetadata:
    """The same document where clients of OpenID Connect look for it. There is no login by browser, and no ID token."""
    return ProviderMetadata(
        **_members(request, auth),
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=[ALGORITHM],
    )


def _members(request: Request, auth: UseCases) -> dict[str, Any]:
    # Whoever forges the Host header gets the answer alone: no cache may keep it (the chassis says no-store).
    base = auth.public_url or str(request.base_url).rstrip("/")
    return {
        "issuer": auth.issuer,
        "token_endpoint": f"{base}/token",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "revocation_endpoint": f"{base}/revoke",
        "introspection_endpoint": f"{base}/introspect",
        "grant_types_supported": list(get_args(Grant)),
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none", *CLIENT_METHODS],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": CLIENT_METHODS,
        "scopes_supported": sorted(scopes_of(Role)),
    }
