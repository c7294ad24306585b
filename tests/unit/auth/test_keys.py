from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet

from services.auth.tokens.keys import PUBLISHED_BEFORE, KeyPolicy, KeyRing, StoredKey, WrongEncryptionKey
from services.chassis.web.identity import TokenVerifier
from services.chassis.web.problems import Unauthenticated, Unavailable

NOW = datetime.now(UTC)
POLICY = KeyPolicy(rotation=timedelta(days=30), token_lifetime=timedelta(hours=1))
CLAIMS = {
    "iss": "creditmesh",
    "aud": "creditmesh",
    "sub": "01980000-0000-7000-8000-000000000001",
    "username": "ann",
    "roles": ["maker"],
    "scope": "applications:read",
    "iat": NOW,
    "exp": NOW + timedelta(hours=1),
    "jti": "01980000-0000-7000-8000-000000000002",
    "sid": "01980000-0000-7000-8000-000000000003",
}


def _key(cipher: Fernet, created: datetime, *before: StoredKey) -> StoredKey:
    return POLICY.new_key(before, created, cipher)


async def _verifies(ring: KeyRing, token: str, now: datetime) -> bool:
    try:
        await TokenVerifier("creditmesh", ring.jwks(now)).verify(token)
    except Unauthenticated:
        return False
    return True


async def test_the_first_key_signs_at_once_and_the_key_set_verifies_it() -> None:
    cipher = Fernet(Fernet.generate_key())
    ring = KeyRing(cipher)
    ring.replace([_key(cipher, NOW)])

    assert await _verifies(ring, ring.sign(CLAIMS, NOW), NOW)


async def test_case_7_a_new_key_is_published_before_it_signs_and_the_old_one_still_verifies() -> None:
    cipher = Fernet(Fernet.generate_key())
    first = _key(cipher, NOW - timedelta(days=30))
    second = _key(cipher, NOW, first)
    ring = KeyRing(cipher)
    ring.replace([first, second])
    later = NOW + PUBLISHED_BEFORE

    old, new = ring.sign(CLAIMS, NOW), ring.sign(CLAIMS, later)
    only_second = KeyRing(cipher)
    only_second.replace([second])

    assert len(ring.jwks(NOW)["keys"]) == 2
    assert [await _verifies(only_second, token, later) for token in (old, new)] == [False, True]
    assert await _verifies(ring, old, later)


@pytest.mark.parametrize(("days", "due"), [(0, False), (29, False), (30, True), (300, True)])
def test_a_key_is_due_when_the_newest_has_signed_long_enough(days: int, due: bool) -> None:
    key = _key(Fernet(Fernet.generate_key()), NOW)

    assert POLICY.is_due([key], NOW + timedelta(days=days)) is due
    assert POLICY.is_due([], NOW)


def test_whatever_a_key_signs_before_its_successor_takes_over_stays_verifiable() -> None:
    key = _key(Fernet(Fernet.generate_key()), NOW)
    last_signature = key.signs_from + POLICY.rotation + PUBLISHED_BEFORE

    assert key.published_until > last_signature + POLICY.token_lifetime


def test_the_private_key_is_not_stored_in_clear() -> None:
    cipher = Fernet(Fernet.generate_key())
    key = _key(cipher, NOW)

    assert cipher.decrypt(key.private_key_encrypted) not in key.private_key_encrypted
    with pytest.raises(WrongEncryptionKey):
        KeyRing(Fernet(Fernet.generate_key())).replace([key])


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(Unavailable):
        KeyRing(Fernet(Fernet.generate_key())).sign(CLAIMS, NOW)
