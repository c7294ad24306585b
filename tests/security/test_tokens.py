"""Forged, altered and outdated tokens against every guarded operation of the running services."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.auth.accounts.users import Users
from services.chassis.testing import TokenMaker
from services.lake.domain.roles import SCOPES, Role
from tests.integration.auth.conftest import app, client, encryption_key, log_in, users  # noqa: F401 - fixtures
from tests.integration.conftest import lending  # noqa: F401 - a fixture
from tests.integration.lending import Lending
from tests.security.operations import LENDING, Operation, operations

EVERYTHING = sorted({scope for scopes in SCOPES.values() for scope in scopes})
GUARDED = [one for one in operations(*LENDING) if one.is_guarded]


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forgeries(genuine: str, jwks: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a thief of one genuine token, or somebody with none, could try."""
    header, payload, signature = genuine.split(".")
    claims = jwt.decode(genuine, options={"verify_signature": False})
    kid, kind = jwks["keys"][0]["kid"], "at+jwt"
    public = base64.urlsafe_b64decode(jwks["keys"][0]["x"] + "==")
    own = Ed25519PrivateKey.generate()
    mine = jwt.algorithms.OKPAlgorithm.to_jwk(own.public_key(), as_dict=True)
    named = {"kid": kid, "typ": kind}

    def shared(secret: bytes, **more: Any) -> str:
        return jwt.encode(claims, secret, algorithm="HS256", headers=named | more)

    yield "no algorithm", f"{encoded({'alg': 'none', **named})}.{payload}."
    yield "no algorithm, signature kept", f"{encoded({'alg': 'NONE', **named})}.{payload}.{signature}"
    yield "public key as a secret", shared(public)
    yield "public key as a secret, as text", shared(jwks["keys"][0]["x"].encode())
    yield "another's key under our id", jwt.encode(claims, own, algorithm="EdDSA", headers=named)
    yield "an unknown key", jwt.encode(claims, own, algorithm="EdDSA", headers=named | {"kid": "mine"})
    yield "a path as key id", shared(b"x" * 32, kid="../../../../dev/null")
    yield "SQL as key id", shared(b"x" * 32, kid="' UNION SELECT 'x' --")
    yield (
        "a key that it brings along",
        jwt.encode(
            claims, own, algorithm="EdDSA", headers=named | {"jwk": mine, "jku": "http://127.0.0.1:1/jwks"}
        ),
    )
    for name, change in {
        "another subject": {"sub": "01980000-0000-7000-8000-000000000001"},
        "more roles": {"roles": ["administrator"], "scope": " ".join(EVERYTHING)},
        "a later end": {"exp": claims["exp"] + 9_999_999},
    }.items():
        yield name, f"{header}.{encoded({**claims, **change})}.{signature}"
    yield "a changed signature", f"{header}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "no signature", f"{header}.{payload}."
    yield "no parts", "token"
    yield "empty parts", ".."
    yield "an array as payload", f"{header}.{encoded([1])}.{signature}"
    yield "8,000 characters", "a" * 8_000


def outdated(maker: TokenMaker) -> Iterator[tuple[str, str]]:
    """Tokens of the issuer itself that do not count: here, now, or for this."""
    everything: dict[str, Any] = {"scopes": EVERYTHING, "roles": list(Role)}
    yield "expired", maker.token(**everything, lifetime=timedelta(minutes=-1))
    yield "not yet valid", maker.token(**everything, nbf=datetime.now(UTC) + timedelta(minutes=5))
    yield "issued in the future", maker.token(**everything, iat=datetime.now(UTC) + timedelta(minutes=5))
    yield "another issuer", maker.token(**everything, iss="https://evil.example")
    yield "another audience", maker.token(**everything, aud="somebody-else")
    yield "an ID token", maker.token(**everything, kind="JWT")
    yield "a refresh token", maker.token(**everything, kind="refresh+jwt")
    for claim in ("sub", "jti", "sid"):
        yield f"{claim} that is no id", maker.token(**everything, **{claim: "x"})


def assert_refused(answer: httpx.Response, name: str) -> None:
    assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"
    assert answer.headers["www-authenticate"].startswith(
        'Bearer realm="creditmesh", error="invalid_token"'
    ), name
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("operation", GUARDED, ids=str)
async def test_case_1_no_operation_takes_a_token_that_is_not_ours(
    lending: Lending,  # noqa: F811
    operation: Operation,
) -> None:
    http: httpx.AsyncClient = getattr(lending, operation.service)
    genuine = lending.tokens.token(scopes=EVERYTHING, roles=list(Role))

    for name, token in (*forgeries(genuine, lending.tokens.jwks()), *outdated(lending.tokens)):
        answer = await http.request(
            operation.method, operation.place(), headers={"Authorization": f"Bearer {token}"}
        )
        assert_refused(answer, name)
    assert (await http.request(operation.method, operation.place())).status_code == 401


async def test_case_1_auth_takes_no_token_that_is_not_its_own(
    client: httpx.AsyncClient,  # noqa: F811
    users: Users,  # noqa: F811
) -> None:
    assert await users.find("ann")
    genuine = (await log_in(client, "ann")).json()["access_token"]
    jwks = (await client.get("/.well-known/jwks.json")).json()
    headers = {"Authorization": f"Bearer {genuine}"}
    assert (await client.get("/me", headers=headers)).status_code == 200

    for operation in operations("auth"):
        if operation.is_guarded:
            for name, token in forgeries(genuine, jwks):
                answer = await client.request(
                    operation.method, operation.place(), headers={"Authorization": f"Bearer {token}"}
                )
                assert_refused(answer, f"{operation}: {name}")
    # Nothing of it has ended or changed the genuine session.
    assert (await client.get("/me", headers=headers)).status_code == 200


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Negotiate", ""])
async def test_a_token_is_taken_by_its_scheme_alone(lending: Lending, scheme: str) -> None:  # noqa: F811
    token = lending.tokens.token(scopes=EVERYTHING)

    answer = await lending.search.get("/applications", headers={"Authorization": f"{scheme} {token}".strip()})

    assert answer.status_code == 401


async def test_a_token_in_the_address_opens_nothing(lending: Lending) -> None:  # noqa: F811
    token = lending.tokens.token(scopes=EVERYTHING)

    answer = await lending.search.get("/applications", params={"access_token": token})

    assert answer.status_code == 401
    assert token not in answer.text
