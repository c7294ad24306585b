"""Own and foreign records in every stage, and the expected access of each role to them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.lake.domain.roles import OF_PEOPLE, Role
from tests.integration.intake.files import PDF
from tests.integration.lending import Lending, User

M, S, U, N, P = Role.MAKER, Role.SERVICING, Role.AUDITOR, Role.ANALYST, Role.SERVICE
CHECK = frozenset({Role.OFFICER, Role.SENIOR_OFFICER, Role.COMMITTEE})
READ = CHECK | {M, S, U, N, P}
SECOND = frozenset({S, Role.SENIOR_OFFICER, Role.COMMITTEE})
LEAD = frozenset({Role.SENIOR_OFFICER, Role.COMMITTEE})

# By stage and whose it is: the roles that see it. The maker among the callers is the one whose "own" things are.
SEES: Mapping[tuple[str, str], frozenset[Role]] = {
    ("draft", "own"): frozenset({M, U}),
    ("draft", "foreign"): frozenset({U}),
    ("submitted", "own"): CHECK | {M, U, N, P},
    ("submitted", "foreign"): CHECK | {U, N, P},
    ("loan", "own"): CHECK | {M, S, U, N, P},
    ("loan", "foreign"): CHECK | {S, U, N, P},
}
PERSONAL = {"national_id": "012345678901", "email": "nguyen.van.dat@example.com", "phone": "+84912345678"}
CONTENT = {
    "kind": "payment",
    # Another currency than any loan's: read, checked and refused without a trace.
    "amount": "1.00",
    "currency": "USD",
}
# Nothing is classified: it is refused without a trace.
PROPOSAL = {"kind": "classification", "classification": "default", "ends": True, "reason": "paid again"}


@dataclass(frozen=True)
class Route:
    """A route as callers meet it."""

    roles: frozenset[Role]
    """Who has its scope."""
    thing: str | None = None
    """What the id in its path is of."""
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    hidden_from: frozenset[Role] = frozenset()
    """Who sees the thing otherwise, but not here."""

    def sees(self, role: Role, place: tuple[str, str]) -> bool:
        """Whether the thing at `place` is there for `role`."""
        return role in SEES[place] - self.hidden_from


# A revision that nothing has: who gets as far as its comparison sees the thing, and nothing is changed.
_CHANGE = {"If-Match": '"99"'}
_CREATE = {"Idempotency-Key": "k"}

ROUTES: Mapping[tuple[str, str, str], Route] = {
    ("intake", "POST", "/parties"): Route(frozenset({M, P}), body={}, headers=_CREATE),
    ("intake", "GET", "/parties"): Route(READ - {N}, query={"email": PERSONAL["email"]}),
    ("intake", "GET", "/parties/{party_id}"): Route(READ - {N}, "party"),
    ("intake", "PATCH", "/parties/{party_id}"): Route(
        CHECK | {M, P}, "party", {"phone": "+84900000000"}, _CHANGE
    ),
    ("intake", "POST", "/national-id-confirmations"): Route(CHECK, body={}, headers=_CREATE),
    ("intake", "GET", "/products"): Route(READ),
    ("intake", "GET", "/applications"): Route(READ),
    ("intake", "POST", "/applications"): Route(frozenset({M, P}), body={}, headers=_CREATE),
    ("intake", "GET", "/applications/{application_id}"): Route(READ, "application"),
    ("intake", "PUT", "/applications/{application_id}/draft"): Route(
        frozenset({M, P}), "application", {"content": True}, _CHANGE
    ),
    ("intake", "DELETE", "/applications/{application_id}/draft"): Route(
        frozenset({M, P}), "application", None, _CHANGE
    ),
    ("intake", "POST", "/applications/{application_id}/submission"): Route(
        frozenset({M, P}), "application", None, _CHANGE
    ),
    ("intake", "POST", "/applications/{application_id}/withdrawal"): Route(
        frozenset({M, P}), "application", None, _CHANGE
    ),
    ("intake", "POST", "/applications/{application_id}/documents"): Route(
        frozenset({M, P}),
        "application",
        None,
        # Without a body: it is checked and refused without a trace.
        {**_CREATE, "Content-Type": "application/pdf"},
        {"kind": "income", "file_name": "pay slip"},
    ),
    ("intake", "GET", "/applications/{application_id}/documents"): Route(READ - {N}, "application"),
    ("intake", "GET", "/documents/{document_id}"): Route(READ - {N}, "document"),
    # A document shows all that a party's mask hides.
    ("intake", "GET", "/documents/{document_id}/content"): Route(
        READ - {N}, "document", hidden_from=frozenset({U})
    ),
    ("intake", "POST", "/imports"): Route(
        frozenset({M, P}),
        None,
        None,
        # Without a body: it is checked and refused without a trace.
        {**_CREATE, "Content-Type": "application/x-ndjson"},
        {"kind": "applications"},
    ),
    ("intake", "GET", "/imports"): Route(frozenset({M, S, P})),
    # Its sender's alone, as a draft is.
    ("intake", "GET", "/imports/{import_id}"): Route(frozenset({M, S, P}), "import"),
    ("intake", "GET", "/imports/{import_id}/rows"): Route(frozenset({M, S, P}), "import"),
    # Administrators read the trail, but no customer's data.
    ("intake", "GET", "/rejected-records"): Route(frozenset({U})),
    ("intake", "GET", "/rejected-records/{record_id}"): Route(frozenset({U})),
    ("intake", "GET", "/loans"): Route(READ),
    ("intake", "GET", "/loans/{loan_id}"): Route(READ, "loan"),
    ("intake", "POST", "/loans/{loan_id}/transactions"): Route(frozenset({S}), "loan", CONTENT, _CREATE),
    ("intake", "POST", "/loans/{loan_id}/proposals"): Route(SECOND, "loan", PROPOSAL, _CREATE),
    ("intake", "GET", "/loans/{loan_id}/proposals"): Route(READ, "loan"),
    ("intake", "GET", "/loans/{loan_id}/classifications"): Route(READ, "loan"),
    ("intake", "GET", "/proposals"): Route(READ),
    ("intake", "GET", "/proposals/{proposal_id}"): Route(READ, "proposal"),
    ("intake", "POST", "/proposals/{proposal_id}/confirmation"): Route(SECOND, "proposal", None, _CHANGE),
    ("intake", "POST", "/proposals/{proposal_id}/rejection"): Route(
        SECOND, "proposal", {"comment": "no"}, _CHANGE
    ),
    ("intake", "POST", "/proposals/{proposal_id}/withdrawal"): Route(SECOND, "proposal", None, _CHANGE),
    ("approval", "GET", "/bands"): Route(READ),
    ("approval", "GET", "/queue"): Route(CHECK),
    ("approval", "GET", "/queue/summary"): Route(CHECK),
    ("approval", "GET", "/queue/without-band"): Route(CHECK),
    ("approval", "GET", "/applications/{application_id}"): Route(READ, "application"),
    ("approval", "POST", "/applications/{application_id}/decisions"): Route(
        CHECK, "application", {"outcome": "approve"}, _CHANGE
    ),
    ("approval", "POST", "/applications/{application_id}/booking"): Route(
        CHECK, "application", None, _CHANGE
    ),
    ("approval", "GET", "/reason-codes"): Route(READ),
    ("approval", "POST", "/decisions"): Route(CHECK, body={}),
    ("approval", "PUT", "/applications/{application_id}/claim"): Route(CHECK, "application"),
    ("approval", "DELETE", "/applications/{application_id}/claim"): Route(CHECK, "application"),
    ("search", "GET", "/applications"): Route(READ),
    ("search", "GET", "/applications/{application_id}"): Route(READ, "application"),
    ("search", "GET", "/applications.csv"): Route(READ),
    ("search", "GET", "/applications.ndjson"): Route(READ),
    ("search", "GET", "/lake/applications/{application_id}"): Route(READ, "application"),
    ("search", "GET", "/applications/{application_id}/audit"): Route(
        frozenset({U, Role.ADMINISTRATOR}), "application"
    ),
    **{
        ("approval", method, f"/{kind}-proposals{path}"): Route(roles, body=body, headers=headers)
        for kind in ("product", "band")
        for method, path, roles, body, headers in (
            ("POST", "", LEAD, {}, {}),
            ("GET", "", READ, None, {}),
            ("GET", "/{proposal_id}", READ, None, {}),
            ("POST", "/{proposal_id}/confirmation", frozenset({Role.COMMITTEE}), None, _CHANGE),
            ("POST", "/{proposal_id}/rejection", frozenset({Role.COMMITTEE}), {}, _CHANGE),
            ("POST", "/{proposal_id}/withdrawal", LEAD, None, _CHANGE),
        )
    },
}


OPEN, LOGGED_IN = frozenset({"nobody"}), frozenset({"must change", *OF_PEOPLE})
ADMINISTRATORS: frozenset[str] = frozenset({Role.ADMINISTRATOR})
REVIEWERS: frozenset[str] = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})
# Auth: who gets past authentication and scope, and what to send; none of these calls changes anything.
AUTH_ROUTES: Mapping[tuple[str, str], tuple[frozenset[str], dict[str, Any]]] = {
    ("POST", "/token"): (OPEN, {"data": {"username": "ann"}}),
    # Without a client's secret it is 401 whoever calls: tested in test_clients.py.
    ("POST", "/introspect"): (frozenset(), {"data": {"token": "none"}}),
    ("GET", "/.well-known/jwks.json"): (OPEN, {}),
    ("GET", "/.well-known/oauth-authorization-server"): (OPEN, {}),
    ("GET", "/.well-known/openid-configuration"): (OPEN, {}),
    ("GET", "/revocations"): (OPEN, {}),
    ("POST", "/revoke"): (OPEN, {"data": {"token": "none"}}),
    ("GET", "/sessions"): (LOGGED_IN, {}),
    ("DELETE", "/sessions/{session_id}"): (LOGGED_IN, {}),
    ("GET", "/me"): (LOGGED_IN, {}),
    ("PUT", "/me/password"): (LOGGED_IN, {"json": {}}),
    ("GET", "/users"): (REVIEWERS, {}),
    ("POST", "/users"): (ADMINISTRATORS, {"json": {}}),
    ("PATCH", "/users/{user_id}"): (ADMINISTRATORS, {"json": {"disabled": False}}),
    ("POST", "/users/{user_id}/reset-codes"): (ADMINISTRATORS, {}),
    ("POST", "/users/{user_id}/reset-codes/{code_id}/confirmation"): (ADMINISTRATORS, {}),
    ("POST", "/password-resets"): (OPEN, {"json": {}}),
    ("DELETE", "/users/{user_id}/otp"): (ADMINISTRATORS, {}),
    ("POST", "/me/otp/confirmation"): (LOGGED_IN, {"json": {}}),
    ("POST", "/me/otp/recovery-codes"): (LOGGED_IN, {"json": {}}),
    ("POST", "/me/otp/removal"): (LOGGED_IN, {"json": {}}),
    ("POST", "/me/otp"): (LOGGED_IN, {}),
    ("GET", "/proposals"): (REVIEWERS, {}),
    ("GET", "/proposals/{proposal_id}"): (REVIEWERS, {}),
    ("POST", "/proposals/{proposal_id}/confirmation"): (ADMINISTRATORS, {}),
    ("POST", "/proposals/{proposal_id}/refusal"): (ADMINISTRATORS, {}),
    ("GET", "/events"): (REVIEWERS, {}),
    ("GET", "/clients"): (REVIEWERS, {}),
    ("POST", "/clients"): (ADMINISTRATORS, {"json": {}}),
    ("GET", "/clients/{client_id}"): (REVIEWERS, {}),
    ("PATCH", "/clients/{client_id}"): (ADMINISTRATORS, {"json": {"disabled": True}}),
    ("POST", "/clients/{client_id}/secrets"): (ADMINISTRATORS, {"json": {}}),
    ("POST", "/clients/{client_id}/secrets/{secret_id}/confirmation"): (ADMINISTRATORS, {}),
    ("POST", "/clients/{client_id}/secrets/{secret_id}/refusal"): (ADMINISTRATORS, {}),
    # Last: they end the sessions.
    ("DELETE", "/sessions"): (LOGGED_IN, {}),
    ("POST", "/logout"): (LOGGED_IN, {}),
}


@dataclass
class World:
    """Things of the maker `callers[maker]` and of another one, by stage and whose they are."""

    lending: Lending
    callers: Mapping[Role, User]
    things: Mapping[str, Mapping[tuple[str, str], str]]
    content: Mapping[str, Any]

    @classmethod
    async def over(cls, lending: Lending) -> World:
        """Make all of it, and let the replica have it."""
        callers = {role: lending.user(role) for role in Role}
        applications: dict[tuple[str, str], str] = {}
        parties: dict[tuple[str, str], str] = {}
        loans: dict[tuple[str, str], str] = {}
        proposals: dict[tuple[str, str], str] = {}
        documents: dict[tuple[str, str], str] = {}
        imports: dict[tuple[str, str], str] = {}
        content: Mapping[str, Any] = {}
        for whose, maker in (("own", callers[M]), ("foreign", lending.user("maker"))):
            imports["draft", whose] = await _import(lending, maker)
            for number, stage in enumerate(("draft", "submitted", "loan")):
                details = {**PERSONAL, "national_id": f"{'12'[whose == 'own']}{number}2345678901"}
                party = await lending.party(maker, birth_date="1990-01-02", **details)
                body = await lending.content(maker, parties=[{"party_id": party, "role": "borrower"}])
                content = body if whose == "own" else content
                response = await lending.post(maker, {**body, "submit": stage != "draft"})
                assert response.status_code == 201, response.text
                application = str(response.json()["id"])
                documents[stage, whose] = await _document(lending, maker, application)
                if stage == "loan":
                    officer = lending.user("officer")
                    assert (await lending.decide(officer, application, 1)).status_code == 200
                    booked = await lending.book(officer, application, 2, {})
                    assert booked.status_code == 200, booked.text
                    loans[stage, whose] = str(booked.json()["loan_id"])
                    proposed = await lending.propose(
                        lending.user("servicing"), loans[stage, whose], "write-off", amount="1"
                    )
                    assert proposed.status_code == 201, proposed.text
                    proposals[stage, whose] = str(proposed.json()["id"])
                applications[stage, whose] = application
                parties[stage, whose] = party
        await lending.make_replica()
        await lending.replicate()
        things = {
            "application": applications,
            "party": parties,
            "loan": loans,
            "proposal": proposals,
            "document": documents,
            "import": imports,
        }
        return cls(lending, callers, things, content)

    def client(self, service: str) -> httpx.AsyncClient:
        """The client of a service."""
        found: httpx.AsyncClient = getattr(self.lending, service)
        return found

    async def call(
        self, key: tuple[str, str, str], headers: Mapping[str, str], thing: str | None = None
    ) -> httpx.Response:
        """One call of a route, about `thing`."""
        service, method, path = key
        route = ROUTES[key]
        body = self.content if route.body == {"content": True} else route.body
        own = {name: str(uuid.uuid4()) if value == "k" else value for name, value in route.headers.items()}
        place = path if thing is None else path[: path.index("{")] + thing + path[path.index("}") + 1 :]
        return await self.client(service).request(
            method, place, json=body, headers={**headers, **own}, params=dict(route.query)
        )


async def _document(lending: Lending, maker: User, application: str) -> str:
    added = await lending.intake.post(
        f"/applications/{application}/documents",
        params={"kind": "identity", "file_name": "Nguyễn Văn Đạt"},
        content=PDF,
        headers={
            **maker.headers,
            "Idempotency-Key": f"document {application}".replace(" ", "-"),
            "Content-Type": "application/pdf",
        },
    )
    assert added.status_code == 201, added.text
    return str(added.json()["id"])


async def _import(lending: Lending, maker: User) -> str:
    added = await lending.intake.post(
        "/imports",
        params={"kind": "applications"},
        # A row that is rejected: nothing is made of it.
        content=b"{}",
        headers={
            **maker.headers,
            "Idempotency-Key": str(uuid.uuid4()),
            "Content-Type": "application/x-ndjson",
        },
    )
    assert added.status_code == 202, added.text
    return str(added.json()["id"])


def outcome(response: httpx.Response) -> str:
    """What a caller learns: `no token`, `no scope`, `hidden`, or that the thing is there for them: `seen`."""
    assert response.status_code < 500, response.text
    if "insufficient_user_authentication" in response.headers.get("www-authenticate", ""):
        # Somebody who may, and has to log in again before.
        return "seen"
    if response.status_code == 401:
        return "no token"
    if response.status_code == 404:
        return "hidden"
    if "insufficient_scope" in response.headers.get("www-authenticate", ""):
        return "no scope"
    return "seen"
