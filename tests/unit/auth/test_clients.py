from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from services.auth.clients.model import Secret, SecretState, digest, new_secret
from services.auth.clients.schemas import ClientScope
from services.lake.domain.roles import OF_PEOPLE, POWERFUL, SCOPES, Role, scopes_of

NOW = datetime.now(UTC)


def test_a_client_can_have_the_scopes_of_the_role_and_none_that_decides_moves_money_or_grants_rights() -> (
    None
):
    of_clients = set(get_args(ClientScope))

    powerful_alone = scopes_of(POWERFUL & OF_PEOPLE) - scopes_of(OF_PEOPLE - POWERFUL)
    assert of_clients == SCOPES[Role.SERVICE]
    assert not of_clients & powerful_alone
    assert Role.SERVICE in POWERFUL


@pytest.mark.parametrize(
    ("changes", "days", "state"),
    [
        ({}, 0, SecretState.WAITING),
        ({}, 4, SecretState.ENDED),
        ({"confirmed_at": NOW}, 4, SecretState.ACTIVE),
        ({"revoked_at": NOW}, 0, SecretState.ENDED),
        ({"confirmed_at": NOW, "revoked_at": NOW}, 0, SecretState.ENDED),
    ],
)
def test_a_secret_works_from_its_confirmation_to_its_end(
    changes: dict[str, datetime], days: int, state: SecretState
) -> None:
    someone = UUID(int=1)
    secret = Secret(
        someone,
        someone,
        b"",
        frozenset(),
        someone,
        NOW,
        NOW + timedelta(days=3),
        **changes,  # type: ignore[arg-type]
    )
    assert secret.state(NOW + timedelta(days=days)) is state


def test_a_secret_has_256_bits_and_shows_nowhere() -> None:
    text = new_secret()
    someone = UUID(int=1)
    shown = repr(Secret(someone, someone, digest(text), frozenset(), someone, NOW, NOW))

    assert len(text) == 43
    assert len({new_secret() for _ in range(9)}) == 9
    assert str(digest(text)) not in shown
