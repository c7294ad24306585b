import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from services.chassis.testing import TokenMaker
from services.chassis.web import identity
from services.chassis.web.identity import (
    ALGORITHM,
    AUDIENCE,
    LEEWAY_SECONDS,
    TOKEN_TYPE,
    LoginTooOld,
    TokenVerifier,
    recent_login,
)
from services.chassis.web.problems import Unauthenticated, Unavailable


async def test_a_token_names_its_caller(tokens: TokenMaker) -> None:
    user = uuid7()

    caller = await tokens.verifier().verify(
        tokens.token(user=user, username="ann", roles=["maker"], scopes=["a", "b"])
    )

    assert caller.id == user
    assert (caller.username, caller.roles, caller.scopes) == (
        "ann",
        frozenset({"maker"}),
        frozenset({"a", "b"}),
    )
    assert isinstance(caller.token_id, UUID)
    assert isinstance(caller.session_id, UUID)


def _headers(tokens: TokenMaker) -> dict[str, str]:
    return {"kid": tokens.key_id, "typ": TOKEN_TYPE}


def _unsigned(tokens: TokenMaker) -> str:
    return jwt.encode({"sub": str(uuid7())}, key="", algorithm="none", headers=_headers(tokens))


def _symmetric(tokens: TokenMaker) -> str:
    # The classic confusion: the public key, which everyone has, as a shared secret.
    secret = tokens.jwks()["keys"][0]["x"].encode()
    return jwt.encode({"sub": str(uuid7())}, key=secret, algorithm="HS256", headers=_headers(tokens))


@pytest.mark.parametrize(
    "forge",
    [
        lambda maker: maker.token(lifetime=timedelta(minutes=-5)),
        lambda maker: maker.token(aud="elsewhere"),
        lambda maker: maker.token(iss="someone"),
        lambda maker: maker.token(sub="not-a-uuid"),
        lambda maker: maker.token(sid="not-a-uuid"),
        lambda maker: maker.token(sid=None),
        lambda maker: maker.token(kind="JWT"),
        lambda maker: maker.token(kind="id+jwt"),
        lambda maker: maker.token(kind=""),
        lambda maker: maker.token(iat=datetime.now(UTC) + timedelta(hours=1)),
        lambda _: TokenMaker(key=Ed25519PrivateKey.generate()).token(),
        lambda _: TokenMaker(key_id="another").token(),
        lambda _: TokenMaker(key_id="../../etc/passwd").token(),
        lambda maker: maker.token(nbf=datetime.now(UTC) + timedelta(hours=1)),
        lambda maker: maker.token()[:-6] + "AAAAAA",
        lambda _: "not a token",
        lambda _: "",
        _unsigned,
        _symmetric,
    ],
)
async def test_case_1_a_token_that_is_not_ours_is_refused(tokens: TokenMaker, forge: Any) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await tokens.verifier().verify(forge(tokens))

    assert refused.value.headers["WWW-Authenticate"].endswith('error="invalid_token"')


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_the_type_of_an_access_token_is_known_in_every_spelling(tokens: TokenMaker, kind: str) -> None:
    assert (await tokens.verifier().verify(tokens.token(kind=kind, username="ann"))).username == "ann"


async def test_case_1_the_algorithm_comes_from_the_key_and_a_shared_secret_is_no_key(
    tokens: TokenMaker,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    secret = {"kty": "oct", "k": "c2VjcmV0LXRoYXQtZXZlcnlib2R5LWNhbi1yZWFkLTEyMzQ1Njc4OQ", "alg": "HS256"}
    keys = {"keys": [{**public, "kid": "ec", "alg": "ES256"}, {**secret, "kid": "shared"}]}
    verifier = TokenVerifier("creditmesh", keys)
    claims = jwt.decode(tokens.token(username="ann"), options={"verify_signature": False}, audience=AUDIENCE)

    def signed(signer: Any, algorithm: str, key_id: str) -> str:
        return jwt.encode(claims, signer, algorithm=algorithm, headers={"kid": key_id, "typ": TOKEN_TYPE})

    assert (await verifier.verify(signed(key, "ES256", "ec"))).username == "ann"
    for forged in (
        signed(tokens.key, ALGORITHM, "ec"),
        signed(jwt.PyJWK(secret).key, "HS256", "shared"),
    ):
        with pytest.raises(Unauthenticated):
            await verifier.verify(forged)


class CountingKeys:
    """A source of keys that counts how often it is asked, and may be down."""

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        self.jwks = jwks
        self.asked = 0
        self.down = False

    async def __call__(self) -> Mapping[str, Any]:
        self.asked += 1
        if self.down:
            raise Unavailable("down")
        return self.jwks


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_new_key_is_fetched_when_a_token_names_it(tokens: TokenMaker) -> None:
    source, clock, rotated = CountingKeys(tokens.jwks()), Clock(), TokenMaker(key_id="rotated")
    verifier = TokenVerifier("creditmesh", source, clock=clock)
    await verifier.verify(tokens.token())
    source.jwks = {"keys": [*tokens.jwks()["keys"], *rotated.jwks()["keys"]]}

    with pytest.raises(Unauthenticated):
        await verifier.verify(rotated.token())
    clock.now += 6

    assert (await verifier.verify(rotated.token(username="eve"))).username == "eve"
    assert source.asked == 2


async def test_a_withdrawn_key_stops_verifying_after_the_refresh(tokens: TokenMaker) -> None:
    source, clock = CountingKeys(tokens.jwks()), Clock()
    verifier = TokenVerifier("creditmesh", source, clock=clock)
    known = tokens.token()
    await verifier.verify(known)
    source.jwks = TokenMaker(key_id="newer").jwks()
    clock.now += 400

    await verifier.verify(tokens.token())
    for _ in range(3):
        await asyncio.sleep(0)

    for token in (tokens.token(), known):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


async def test_a_token_that_was_verified_stops_at_its_end(tokens: TokenMaker) -> None:
    verifier, token = tokens.verifier(), tokens.token(lifetime=timedelta(seconds=2 - LEEWAY_SECONDS))
    await verifier.verify(token)

    async def until_refused() -> None:
        while True:
            await verifier.verify(token)
            await asyncio.sleep(0.05)

    with pytest.raises(Unauthenticated, match="expired"):
        await asyncio.wait_for(until_refused(), 4)


async def test_a_token_that_was_verified_says_nothing_of_one_like_it(tokens: TokenMaker) -> None:
    verifier, token = tokens.verifier(), tokens.token(username="ann")
    head, _, signature = token.split(".")
    other = tokens.token(username="eve").split(".")[1]
    await verifier.verify(token)
    for forged in (f"{head}.{other}.{signature}", f"{token}A", token[:-4], f"{token} ", f"{token}é"):
        with pytest.raises(Unauthenticated):
            await verifier.verify(forged)
    assert (await verifier.verify(token)).username == "ann"


async def test_the_memory_of_verified_tokens_is_bounded(
    tokens: TokenMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "MOST_REMEMBERED", 3)
    verifier = tokens.verifier()
    made = [tokens.token(username=f"user{number}") for number in range(5)]
    for token in [*made, *made]:
        await verifier.verify(token)
    assert len(verifier._remembered) == 3


async def test_keys_are_fetched_once_and_unknown_ones_do_not_flood_the_source(tokens: TokenMaker) -> None:
    source = CountingKeys(tokens.jwks())
    verifier = TokenVerifier("creditmesh", source)

    for _ in range(5):
        await verifier.verify(tokens.token())
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await verifier.verify(TokenMaker(key_id="unknown").token())

    assert source.asked == 1


async def test_a_caller_that_leaves_does_not_stop_the_fetch_that_others_need(tokens: TokenMaker) -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def slow() -> dict[str, Any]:
        began.set()
        await goes_on.wait()
        return tokens.jwks()

    verifier = TokenVerifier("creditmesh", slow)
    leaves = asyncio.create_task(verifier.verify(tokens.token()))
    await began.wait()
    waits = asyncio.create_task(verifier.verify(tokens.token(username="eve")))
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    goes_on.set()

    assert (await waits).username == "eve"


async def test_a_published_key_of_an_unknown_type_leaves_the_others_in_force(tokens: TokenMaker) -> None:
    unknown = {"kty": "AKP", "kid": "post-quantum", "alg": "ML-DSA-65", "pub": "AA"}
    verifier = TokenVerifier("creditmesh", {"keys": [unknown, *tokens.jwks()["keys"]]})

    assert (await verifier.verify(tokens.token(username="eve"))).username == "eve"


async def test_without_any_key_the_service_is_unavailable_not_the_token_wrong(tokens: TokenMaker) -> None:
    source = CountingKeys(tokens.jwks())
    source.down = True

    with pytest.raises(Unavailable):
        await TokenVerifier("creditmesh", source).verify(tokens.token())


async def test_case_6_known_keys_verify_while_the_source_is_down(tokens: TokenMaker) -> None:
    source = CountingKeys(tokens.jwks())
    verifier = TokenVerifier("creditmesh", source)
    await verifier.verify(tokens.token())
    source.down = True

    assert (await verifier.verify(tokens.token(username="bob"))).username == "bob"


@pytest.mark.parametrize(
    ("seconds", "recent"), [(0, True), (59, True), (62, False), (None, False), (2 * 60 * 60, False)]
)
async def test_case_11_a_login_is_recent_for_the_given_time(
    tokens: TokenMaker, seconds: int | None, recent: bool
) -> None:
    logged_in = {} if seconds is None else {"auth_time": int(time.time()) - seconds}
    caller = await tokens.verifier().verify(tokens.token(**logged_in))
    check = recent_login(timedelta(minutes=1))

    if recent:
        assert await check(caller) is caller
    else:
        with pytest.raises(LoginTooOld) as refused:
            await check(caller)
        assert refused.value.headers["WWW-Authenticate"].endswith('max_age="60"')
