import pytest

from services.lake.domain.roles import SCOPES, Role, scopes_of


@pytest.mark.parametrize(
    ("role", "allowed", "denied"),
    [
        (Role.MAKER, "applications:submit", "applications:decide"),
        (Role.OFFICER, "applications:decide", "applications:submit"),
        (Role.OFFICER, "applications:book", "loans:classify"),
        (Role.COMMITTEE, "loans:classify", "users:manage"),
        (Role.SERVICING, "loans:service", "applications:book"),
        (Role.AUDITOR, "audit:read", "parties:write"),
        (Role.ADMINISTRATOR, "users:manage", "applications:decide"),
    ],
)
def test_roles_allow_what_the_process_needs_and_no_more(role: Role, allowed: str, denied: str) -> None:
    assert allowed in scopes_of([role])
    assert denied not in scopes_of([role])


def test_every_role_has_scopes() -> None:
    assert set(SCOPES) == set(Role)


def test_scopes_of_several_roles_add_up() -> None:
    assert scopes_of([Role.MAKER, Role.OFFICER]) == SCOPES[Role.MAKER] | SCOPES[Role.OFFICER]
    assert scopes_of([]) == frozenset()


@pytest.mark.parametrize("scope", ["applications:read", "parties:read"])
def test_who_grants_rights_reads_no_customer(scope: str) -> None:
    assert scope not in SCOPES[Role.ADMINISTRATOR]
