"""Members of a body that nobody may say: states, makers, revisions, roles, results of others' work."""

from __future__ import annotations

import time

import httpx
import pytest

from services.auth.accounts.users import Users
from services.lake.domain.roles import SCOPES, Role
from tests.integration.auth.conftest import app, client, encryption_key, headers, users  # noqa: F401 - fixtures
from tests.integration.conftest import lending  # noqa: F401 - a fixture
from tests.integration.lending import Lending
from tests.security.operations import LENDING, Operation, operations

PRIVILEGED = {
    "id": "01980000-0000-7000-8000-000000000001",
    "state": "approved",
    "status": "confirmed",
    "revision": 99,
    "version": 99,
    "created_by": "01980000-0000-7000-8000-000000000001",
    "created_at": "2020-01-01T00:00:00Z",
    "maker_id": "01980000-0000-7000-8000-000000000001",
    "decided_by": "01980000-0000-7000-8000-000000000001",
    "roles": ["administrator"],
    "scopes": ["users:manage"],
    "is_admin": True,
    "disabled": False,
    "score": 999,
    "band": "A",
    "stage": "committee",
    "loan_id": "01980000-0000-7000-8000-000000000001",
    "confirmed_by": "01980000-0000-7000-8000-000000000001",
    "password_hash": "x",
    "__proto__": {"admin": True},
}
WITH_BODY = [one for one in operations(*LENDING) if one.body_members() is not None]


def assert_all_refused(answer: httpx.Response, operation: Operation) -> None:
    known = operation.body_members() or frozenset()
    unknown = PRIVILEGED.keys() - known
    assert answer.status_code == 422, f"{operation}: {answer.status_code} {answer.text}"
    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    # A body of several kinds points through the name of the kind.
    missed = {name for name in unknown if not any(pointer.endswith(f"/{name}") for pointer in pointers)}
    assert not missed, f"{operation}: {missed} of {pointers}"


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_case_15_no_body_takes_a_member_that_is_not_its_own(
    lending: Lending,  # noqa: F811
    operation: Operation,
) -> None:
    caller = lending.tokens.headers(
        scopes={scope for scopes in SCOPES.values() for scope in scopes},
        roles=[Role.MAKER, Role.COMMITTEE],
        auth_time=int(time.time()),
    )
    http: httpx.AsyncClient = getattr(lending, operation.service)

    own = {"Idempotency-Key": "01980000-0000-7000-8000-00000000000a", "If-Match": '"1"'}
    answer = await http.request(
        operation.method, operation.place(), json=PRIVILEGED, headers={**caller, **own}
    )

    assert_all_refused(answer, operation)


async def test_case_15_auth_takes_no_member_that_is_not_its_own(
    client: httpx.AsyncClient,  # noqa: F811
    users: Users,  # noqa: F811
) -> None:
    assert await users.find("adam")
    caller = await headers(client, "adam")
    tried = 0
    for operation in operations("auth"):
        if operation.body_members() is not None:
            answer = await client.request(
                operation.method, operation.place(), json=PRIVILEGED, headers=caller
            )
            assert_all_refused(answer, operation)
            tried += 1

    assert tried > 5
