"""Bodies of intake's HTTP API."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PastDate,
    StringConstraints,
    model_validator,
)

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
)
from services.lake.states import State

# No control characters: they mean nothing in a name, and PostgreSQL cannot hold U+0000.
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


def _text(longest: int, pattern: str = _PRINTABLE) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest, pattern=pattern)


FullName = Annotated[str, _text(200)]
BirthDate = Annotated[PastDate, Field(ge=date(1880, 1, 1), description="Of a person; in the past.")]
NationalId = Annotated[str, _text(32)]
Email = Annotated[str, _text(254, r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f]+$")]
Phone = Annotated[str, _text(32, r"^[0-9+][0-9 ()/.-]*$")]
Amount = Annotated[
    Decimal,
    Field(
        gt=0, max_digits=19, decimal_places=4, description="Above 0, at most four decimals; text or number."
    ),
    # As the lake keeps it, so that 5 and "5.00" are the same request.
    AfterValidator(lambda amount: amount.quantize(Decimal("0.0001"))),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.")]


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


class PartyChanges(Body):
    """Changes of a party: members left out stay as they are, null clears what may be empty."""

    full_name: FullName = ""
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

    party_id: UUID
    role: PartyRole


class ApplicationContent(Body):
    """What is applied for."""

    product_code: Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,32}$")]
    amount: Amount
    currency: Currency
    term_months: Annotated[int, Field(ge=1, le=600)]
    purpose: Annotated[str, _text(64)]
    channel: Channel
    parties: Annotated[list[ParticipantBody], Field(min_length=1, max_length=20)]
    profile: Profile

    def to_domain(self) -> Content:
        """The content as the domain knows it."""
        return Content(
            product_code=self.product_code,
            amount=self.amount,
            currency=self.currency,
            term_months=self.term_months,
            purpose=self.purpose,
            channel=self.channel,
            parties=tuple(Participant(one.party_id, one.role) for one in self.parties),
            profile=self.profile,
        )


class NewApplication(ApplicationContent):
    """An application to submit, or with `submit: false` to keep as a draft."""

    submit: bool = True


class ApplicationView(BaseModel):
    """An application; `score_reasons` name the points of every attribute, the largest deduction first."""

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
            score=score.points if score else None,
            score_reasons=list(score.reasons) if score else [],
            created_by=application.created_by,
            created_at=application.created_at,
            submitted_at=application.submitted_at,
            decided_at=application.decided_at,
        )
