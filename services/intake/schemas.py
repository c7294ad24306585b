"""Bodies of intake's HTTP API."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from services.chassis.web.input.strict import Amount, Day, Flag, Identifier, Label, Name, Reference, Whole
from services.chassis.web.paging import Cursor, Cursors
from services.intake.domain import (
    Application,
    Channel,
    Content,
    Participant,
    Party,
    PartyDetails,
    PartyKind,
    PartyRole,
    Product,
    Profile,
    Reason,
    RecordedParty,
)
from services.intake.parties.contacts import Email, Phone
from services.intake.parties.national_ids import Confirmation
from services.lake.domain.currency import Currency
from services.lake.domain.states import State

EARLIEST_BIRTH = date(1880, 1, 1)


def _over(day: date) -> date:
    if day >= datetime.now(UTC).date():
        raise ValueError("is not in the past")
    return day


FullName = Annotated[str, Name(200)]
BirthDate = Annotated[Day, Field(ge=EARLIEST_BIRTH), AfterValidator(_over)]
NationalId = Annotated[str, Reference(32)]


class Body(BaseModel):
    """A request body: unknown members are refused, so that a misspelt one is not silently lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewParty(Body):
    """A party to put on record."""

    kind: PartyKind
    full_name: FullName
    birth_date: BirthDate | None = None
    national_id: NationalId | None = None
    email: Email | None = None
    phone: Phone | None = None

    def to_domain(self) -> PartyDetails:
        """The details as the domain knows them."""
        return PartyDetails(**dict(self))


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class PartyChanges(Body):
    """Changes of a party: members left out stay as they are, null clears what may be empty."""

    # A member that is left out: its default is no name that a client may send.
    full_name: FullName = Field("", json_schema_extra=_without_default)
    birth_date: BirthDate | None = None
    national_id: NationalId | None = None
    email: Email | None = None
    phone: Phone | None = None

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one member to change")
        return self

    def changes(self) -> dict[str, object]:
        """The members that were sent, by their name in `PartyDetails`."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class PartyView(BaseModel):
    """A party on record."""

    id: UUID
    kind: PartyKind
    full_name: str
    birth_date: date | None
    national_id: str | None
    email: str | None
    phone: str | None
    created_by: UUID
    created_at: datetime
    revision: int

    @classmethod
    def of(cls, party: Party) -> Self:
        """Show `party`."""
        details = party.details
        return cls(
            id=party.id,
            kind=details.kind,
            full_name=details.full_name,
            birth_date=details.birth_date,
            national_id=details.national_id,
            email=details.email,
            phone=details.phone,
            created_by=party.created_by,
            created_at=party.created_at,
            revision=party.revision,
        )


class NewPartyView(PartyView):
    """A party that was put on record, and others that may be the same; of these only the ones that you may see.

    They are equal in two of national id, e-mail, and birth date with name.
    """

    possible_duplicates: list[UUID]

    @classmethod
    def of_new(cls, new: RecordedParty) -> Self:
        """Show `new`."""
        shown = PartyView.of(new.party).model_dump()
        return cls(**shown, possible_duplicates=new.possible_duplicates)


class PartyPage(BaseModel):
    """A page of parties, the first on record first; `next` is the next page's `after`, null on the last page."""

    items: list[PartyView]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[Party], limit: int, cursors: Cursors) -> Self:
        """Show the first `limit` of `found`, which has one more where there is a next page."""
        page = found[:limit]
        more = Cursor(page[-1].created_at, page[-1].id) if len(found) > limit else None
        return cls(items=[PartyView.of(one) for one in page], next=cursors.next(more))


class NewConfirmation(Body):
    """A national id that one more party may have, and why."""

    national_id: NationalId
    reason: Annotated[str, Label(1000)]


class ConfirmationView(BaseModel):
    """Another party may be put on record with this national id, once, by somebody else; `parties` have it already."""

    id: UUID
    reason: str
    confirmed_by: UUID
    confirmed_at: datetime
    parties: list[UUID]

    @classmethod
    def of(cls, confirmation: Confirmation) -> Self:
        """Show `confirmation`."""
        return cls(**asdict(confirmation))


class ProductView(BaseModel):
    """A product and its limits; `interest_rate` is a yearly fraction (0.085 is 8.5 %)."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    name: str
    currency: str
    min_amount: Decimal
    max_amount: Decimal
    min_term_months: int
    max_term_months: int
    interest_rate: Decimal

    @classmethod
    def of(cls, product: Product) -> Self:
        """Show `product`."""
        return cls.model_validate(product)


class ParticipantBody(Body):
    """A party's part in an application."""

    party_id: Identifier
    role: PartyRole


class ApplicationTerms(Body):
    """What is applied for, whoever takes part."""

    product_code: Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,32}$")]
    amount: Amount
    currency: Currency
    term_months: Annotated[Whole, Field(ge=1, le=600)]
    purpose: Annotated[str, Label(64)]
    channel: Channel
    profile: Profile

    def content(self, parties: Iterable[Participant]) -> Content:
        """The content of an application of these parties, as the domain knows it."""
        return Content(
            product_code=self.product_code,
            amount=self.amount,
            currency=self.currency,
            term_months=self.term_months,
            purpose=self.purpose,
            channel=self.channel,
            parties=tuple(parties),
            profile=self.profile,
        )


class ApplicationContent(ApplicationTerms):
    """What is applied for."""

    parties: Annotated[list[ParticipantBody], Field(min_length=1, max_length=20)]

    def to_domain(self) -> Content:
        """The content as the domain knows it."""
        return self.content(Participant(one.party_id, one.role) for one in self.parties)


class NewApplication(ApplicationContent):
    """An application to submit, or with `submit: false` to keep as a draft."""

    submit: Flag = True


class ApplicationView(BaseModel):
    """An application; `score_reasons` name the points of every attribute, the largest deduction first.

    `age_years` is the borrower's age on the day of submission, by their birth date; null before, and for others.
    """

    id: UUID
    state: State
    version: int | None
    revision: int
    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: Channel
    parties: list[ParticipantBody]
    profile: Profile
    age_years: int | None = None
    score: int | None
    score_reasons: list[Reason]
    created_by: UUID
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None

    @classmethod
    def of(cls, application: Application) -> Self:
        """Show `application`."""
        content, score = application.content, application.score
        return cls(
            id=application.id,
            state=application.state,
            version=application.current_version,
            revision=application.revision,
            product_code=content.product_code,
            amount=content.amount,
            currency=content.currency,
            term_months=content.term_months,
            purpose=content.purpose,
            channel=content.channel,
            parties=[ParticipantBody(party_id=one.party_id, role=one.role) for one in content.parties],
            profile=content.profile,
            age_years=application.age_years,
            score=score.points if score else None,
            score_reasons=list(score.reasons) if score else [],
            created_by=application.created_by,
            created_at=application.created_at,
            submitted_at=application.submitted_at,
            decided_at=application.decided_at,
        )
