"""Tokens of another identity provider, by its keys and its roles (AUTH_ISSUERS)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from services.chassis.settings import IssuerSettings, ServiceSettings
from services.chassis.testing import TokenMaker, span_recorder
from services.chassis.web.app import create_app
from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.lake.domain.roles import scopes_of_people
from tests.integration.auth.conftest import bearer
from tests.integration.auth.test_revocation import listening

REALM = "https://sso.example/realms/bank"
OURS = TokenMaker()
THEIRS = TokenMaker(issuer=REALM, audience="creditmesh-api", key_id="realm-key")
SUBJECT = uuid7()


def token(maker: TokenMaker = THEIRS, **claims: Any) -> str:
    """A token as Keycloak writes it."""
    return maker.token(
        **{
            "kind": "JWT",
            "user": SUBJECT,
            "typ": "Bearer",
            "preferred_username": "olga",
            "realm_access": {"roles": ["loan-officer", "offline_access"]},
            "jti": "onrtac:0b9d",
            "sid": "a session of theirs",
            **claims,
        }
    )


def publishing() -> FastAPI:
    """Both key sets, at paths of their own, and our list of ended sessions."""
    app = FastAPI()
    app.add_api_route("/ours", OURS.jwks)
    app.add_api_route("/theirs", THEIRS.jwks)
    app.add_api_route("/revocations", lambda: {"sids": []})
    return app


def service(keys: str, **changes: Any) -> FastAPI:
    """A service whose only route needs an officer's scope."""
    router = bounded_router()

    @router.get("/who")
    async def who(caller: Annotated[Caller, Depends(require("applications:decide"))]) -> dict[str, Any]:
        return {"id": str(caller.id), "name": caller.username, "roles": sorted(caller.roles)}

    other = IssuerSettings(
        issuer=REALM,
        jwks_url=f"{keys}/theirs",
        audience="creditmesh-api",
        roles_claim="realm_access.roles",
        **{"roles": {"loan-officer": "officer"}, **changes},
    )
    return create_app(
        service="example",
        title="Example",
        summary="A service for tests.",
        settings=ServiceSettings(http_port=0, auth_jwks_url=f"{keys}/ours", auth_issuers=(other,)),
        telemetry=span_recorder().telemetry,
        routers=[router],
        scopes_of=scopes_of_people,
    )


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        app = service(await stack.enter_async_context(listening(publishing())))
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://example")
        )


async def test_case_35_a_token_of_another_provider_works_with_the_roles_that_are_mapped(
    client: httpx.AsyncClient,
) -> None:
    theirs = await client.get("/who", headers=bearer(token()))
    unmapped = await client.get("/who", headers=bearer(token(realm_access={"roles": ["officer"]})))
    ours = OURS.headers(scopes=["applications:decide"], roles=["officer"], user=SUBJECT, username="otto")
    local = await client.get("/who", headers=ours)

    assert (theirs.status_code, unmapped.status_code, local.status_code) == (200, 403, 200)
    assert (theirs.json()["name"], theirs.json()["roles"]) == ("olga", ["officer"])
    # Whatever their subject is, it names no user of ours.
    assert local.json()["id"] == str(SUBJECT)
    assert theirs.json()["id"] != str(SUBJECT)


@pytest.mark.parametrize(
    "forged",
    [
        lambda: token(TokenMaker(issuer="https://sso.example/realms/other", audience="creditmesh-api")),
        lambda: token(iss="https://sso.example/realms/other"),
        lambda: token(iss="creditmesh", aud="creditmesh"),
        # Our own key must not sign for them, nor theirs for us.
        lambda: token(TokenMaker(REALM, "creditmesh-api", OURS.key_id, OURS.key)),
        lambda: token(TokenMaker(key_id=THEIRS.key_id, key=THEIRS.key)),
        lambda: token(TokenMaker(REALM, "creditmesh-api", THEIRS.key_id, Ed25519PrivateKey.generate())),
        lambda: token(aud="account"),
        lambda: token(lifetime=timedelta(minutes=-5)),
        lambda: token(typ="ID"),
        lambda: token(typ="Refresh"),
        lambda: token(at_hash="x"),
        lambda: token(kind="logout+jwt"),
        lambda: token(preferred_username=None, realm_access=[]),
    ],
)
async def test_case_35_a_token_of_an_unknown_provider_or_for_something_else_does_not(
    client: httpx.AsyncClient, forged: Any
) -> None:
    assert (await client.get("/who", headers=bearer(forged()))).status_code == 401


def test_roles_that_people_cannot_have_and_issuers_named_twice_stop_the_start() -> None:
    for role in ("service", "chief"):
        with pytest.raises(ValueError, match=role):
            service("http://127.0.0.1:1", roles={"loan-officer": role})
    other = {"issuer": "creditmesh", "jwks_url": "http://x/y", "audience": "a", "roles": {"a": "maker"}}
    with pytest.raises(ValidationError, match="another issuer"):
        ServiceSettings.model_validate({"http_port": 0, "auth_issuers": [other]})
