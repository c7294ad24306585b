"""HTTP in and out of intake."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response
from pydantic import BaseModel

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.openapi import required
from services.chassis.web.paging import AfterText, CursorsDep, Limit
from services.chassis.web.preconditions import ExpectedRevision, etag
from services.chassis.web.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    documented,
)
from services.intake.domain import Application, Party, Sought
from services.intake.errors import IdempotencyKeyInvalid, IdempotencyKeyMissing
from services.intake.idempotency import IdempotentRequest, Made
from services.intake.parties.contacts import Email, Phone
from services.intake.parties.rights import CORRECT_PARTIES
from services.intake.schemas import (
    ApplicationContent,
    ApplicationView,
    ConfirmationView,
    NationalId,
    NewApplication,
    NewConfirmation,
    NewParty,
    NewPartyView,
    PartyChanges,
    PartyPage,
    PartyView,
    ProductView,
)
from services.intake.service import Intake

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)
_CHANGING = (*_ALWAYS, BadRequest, NotFound, PreconditionFailed, PreconditionRequired)
_KEY = re.compile(r"[\x21-\x7e]{1,128}")

router = bounded_router()


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Chosen by the client, a new one for each new request.",
            json_schema_extra=required(r"^[\x21-\x7e]{1,128}$", "0f8e6a0e-52c7-4f6c-9d53-6c1a3a1f7f10"),
        ),
    ] = None,
) -> str:
    if idempotency_key is None:
        raise IdempotencyKeyMissing(
            "Send a header Idempotency-Key, such as a new UUID, and the same with every retry."
        )
    if _KEY.fullmatch(idempotency_key) is None:
        raise IdempotencyKeyInvalid("Use 1 to 128 printable ASCII characters without spaces.")
    return idempotency_key


IntakeDep = Annotated[Intake, Depends(_intake)]
IdempotencyKey = Annotated[str, Depends(_idempotency_key)]
CanReadParties = Annotated[Caller, Depends(require("parties:read"))]
CanWriteParties = Annotated[Caller, Depends(require("parties:write"))]
CanChangeParties = Annotated[Caller, Depends(require("parties:write", CORRECT_PARTIES))]
CanCorrectParties = Annotated[Caller, Depends(require(CORRECT_PARTIES))]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanSubmit = Annotated[Caller, Depends(require("applications:submit"))]


@router.post(
    "/parties",
    status_code=201,
    response_model=NewPartyView,
    tags=["parties"],
    responses=documented(*_ALWAYS, BadRequest, NotFound, Conflict, Unavailable),
)
async def add_party(
    body: NewParty, caller: CanWriteParties, intake: IntakeDep, key: IdempotencyKey
) -> Response:
    """Create a party; `possible_duplicates` names those of the parties that you may see which may be the same.

    409 says that a party with the same national id, in whatever spelling, is there; `own_parties` names those of yours.
    An officer can confirm that it is another person; then send the same again. Repeated with the same Idempotency-Key
    and body within 7 days, the party that the first request made is given as it is now (`Idempotency-Replayed: true`);
    409 can also say that the first request is still being worked on.
    """
    request = IdempotentRequest.saying(key, f"party {body.model_dump_json()}")
    made = await intake.add_party(body.to_domain(), by=caller, request=request)
    party = made.what.party
    headers = {"Location": f"/parties/{party.id}", "ETag": etag(party.revision)}
    return answered(made, NewPartyView.of_new(made.what), headers)


@router.get("/parties", tags=["parties"], responses=documented(*_ALWAYS, BadRequest))
async def find_parties(  # noqa: PLR0917 - FastAPI passes by name
    caller: CanReadParties,
    intake: IntakeDep,
    cursors: CursorsDep,
    national_id: Annotated[NationalId | None, Query(description="With this national id.")] = None,
    email: Annotated[Email | None, Query(description="With this e-mail address, in any case.")] = None,
    phone: Annotated[
        Phone | None, Query(description="With this phone number. In a URL write its + as %2B.")
    ] = None,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> PartyPage:
    """Find parties by what is exactly theirs, in any spelling: all that you give, at least one of the three.

    Only those whose personal data you see. Parties that intake did not write are found from a minute after they
    appear, or some minutes where there are millions.
    """
    sought = Sought(national_id, email, phone)
    found = await intake.find_parties(sought, cursors.start(after), limit + 1, by=caller)
    return PartyPage.of(found, limit, cursors)


@router.get("/parties/{party_id}", tags=["parties"], responses=documented(*_ALWAYS, NotFound))
async def read_party(
    party_id: Identifier, caller: CanReadParties, intake: IntakeDep, response: Response
) -> PartyView:
    """Read a party; its ETag is what a change of it must send as If-Match."""
    return _party(await intake.party(party_id, by=caller), response)


@router.patch(
    "/parties/{party_id}", tags=["parties"], responses=documented(*_CHANGING, Conflict, Unavailable)
)
async def change_party(  # noqa: PLR0917 - FastAPI passes by name
    party_id: Identifier,
    body: PartyChanges,
    caller: CanChangeParties,
    expected: ExpectedRevision,
    intake: IntakeDep,
    response: Response,
) -> PartyView:
    """Change some details of a party.

    Its maker may, who is who put it on record or made an application that it takes part in; once a loan of it is
    booked only an officer. An application on which the old details were submitted must be submitted again before it is
    approved or booked.
    """
    party = await intake.change_party(party_id, body.changes(), expected=expected, by=caller)
    return _party(party, response)


@router.post(
    "/national-id-confirmations",
    status_code=201,
    response_model=ConfirmationView,
    tags=["parties"],
    responses=documented(*_ALWAYS, BadRequest, Conflict, Unavailable),
)
async def confirm_national_id(
    body: NewConfirmation, caller: CanCorrectParties, intake: IntakeDep, key: IdempotencyKey
) -> Response:
    """Confirm that one more party may have an existing national id; not for your own party.

    Repeated with the same Idempotency-Key and body, the confirmation that the first request made is given again
    (`Idempotency-Replayed: true`). With another key too, until it is used.
    """
    request = IdempotentRequest.saying(key, f"confirmation {body.model_dump_json()}")
    made = await intake.confirm_national_id(body.national_id, body.reason, by=caller.id, request=request)
    return answered(made, ConfirmationView.of(made.what), {})


@router.get("/products", tags=["products"], responses=documented(Unauthenticated, Forbidden))
async def read_products(_: CanRead, intake: IntakeDep) -> list[ProductView]:
    """List the products that can be applied for today, with their limits and the interest rate of today."""
    return [ProductView.of(product) for product in await intake.products()]


@router.post(
    "/applications",
    status_code=201,
    response_model=ApplicationView,
    tags=["applications"],
    responses=documented(*_ALWAYS, BadRequest, Conflict),
)
async def create(body: NewApplication, caller: CanSubmit, intake: IntakeDep, key: IdempotencyKey) -> Response:
    """Create an application and submit it, or keep it as a draft.

    Repeated with the same Idempotency-Key and body within 7 days, the application that the first request made is given
    as it is now (`Idempotency-Replayed: true`); 409 says that the first request is still being worked on, or that the
    draft that it made was deleted.
    """
    request = IdempotentRequest.saying(key, body.model_dump_json())
    made = await intake.create(body.to_domain(), submit=body.submit, by=caller, request=request)
    application = made.what
    headers = {"Location": f"/applications/{application.id}", "ETag": etag(application.revision)}
    return answered(made, ApplicationView.of(application), headers)


@router.get("/applications/{application_id}", tags=["applications"], responses=documented(*_ALWAYS, NotFound))
async def read(
    application_id: Identifier, caller: CanRead, intake: IntakeDep, response: Response
) -> ApplicationView:
    """Read an application: its maker and auditors the saved draft where there is one, else the current version."""
    return _application(await intake.application(application_id, by=caller), response)


@router.put(
    "/applications/{application_id}/draft", tags=["applications"], responses=documented(*_CHANGING, Conflict)
)
async def save_draft(  # noqa: PLR0917 - FastAPI passes by name
    application_id: Identifier,
    body: ApplicationContent,
    caller: CanSubmit,
    expected: ExpectedRevision,
    intake: IntakeDep,
    response: Response,
) -> ApplicationView:
    """Replace the content of an application that is a draft or was returned."""
    changed = await intake.save_draft(application_id, body.to_domain(), expected=expected, by=caller)
    return _application(changed, response)


@router.delete(
    "/applications/{application_id}/draft",
    status_code=204,
    tags=["applications"],
    responses=documented(*_CHANGING, Conflict, Unavailable),
)
async def delete_draft(
    application_id: Identifier, caller: CanSubmit, expected: ExpectedRevision, intake: IntakeDep
) -> None:
    """Delete an application of yours that was never submitted.

    It is then 404 here, and withdrawn for auditors in search. Its documents are deleted; their contents soon after.
    """
    await intake.delete_draft(application_id, expected=expected, by=caller)


@router.post(
    "/applications/{application_id}/submission",
    tags=["applications"],
    responses=documented(*_CHANGING, Conflict),
)
async def submit(
    application_id: Identifier,
    caller: CanSubmit,
    expected: ExpectedRevision,
    intake: IntakeDep,
    response: Response,
) -> ApplicationView:
    """Submit a draft, or resubmit what was returned: a new version with its own score."""
    return _application(await intake.submit(application_id, expected=expected, by=caller), response)


@router.post(
    "/applications/{application_id}/withdrawal",
    tags=["applications"],
    responses=documented(*_CHANGING, Conflict),
)
async def withdraw(
    application_id: Identifier,
    caller: CanSubmit,
    expected: ExpectedRevision,
    intake: IntakeDep,
    response: Response,
) -> ApplicationView:
    """Withdraw an application."""
    return _application(await intake.withdraw(application_id, expected=expected, by=caller), response)


def answered(made: Made[Any], view: BaseModel, headers: Mapping[str, str]) -> Response:
    """The response to an idempotent request: the `view` of what was made, with `headers`."""
    replayed = {"Idempotency-Replayed": "true"} if made.replayed else {}
    return Response(view.model_dump_json(), made.status, {**headers, **replayed}, "application/json")


def _application(application: Application, response: Response) -> ApplicationView:
    response.headers["ETag"] = etag(application.revision)
    return ApplicationView.of(application)


def _party(party: Party, response: Response) -> PartyView:
    response.headers["ETag"] = etag(party.revision)
    return PartyView.of(party)
