"""Bodies and parameters of search's HTTP API."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

import orjson
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.chassis.web.input.strict import AmountOrZero, Identifier, Instant, Label, Words
from services.chassis.web.paging import AfterText, Cursors, Limit
from services.lake.domain.currency import Currency
from services.lake.domain.states import State
from services.search.domain import MOST_WORDS, Facet, Filters, Order
from services.search.service import Found

MOST_VALUES = 50
"""Most values of one filter."""

Code = Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,32}$")]
Channel = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,15}$")]
BandName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
Month = Annotated[
    str, Field(pattern=r"^(19|2[0-8])[0-9]{2}-(0[1-9]|1[0-2])$", examples=["2026-01"], description="YYYY-MM")
]
_FACETS = "|".join(Facet)


class SearchFilters(BaseModel):
    """The filters and the order of a search; missing ones set no filter, unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: Annotated[
        str,
        Words(100),
        Field(
            description="Words, each of which must begin one of: a party's name, e-mail, a version's purpose, the id. "
            "Accents are optional. A word of four letters or more that finds next to nothing is corrected by the names "
            "that you see: one typing error, from eight letters on two.",
        ),
    ] = ""
    state: Annotated[list[State], Query(description="Any of these states.")] = []
    product: Annotated[list[Code], Query(description="Any of these products.", max_length=MOST_VALUES)] = []
    channel: Annotated[
        list[Channel], Query(description="Any of these channels.", max_length=MOST_VALUES)
    ] = []
    band: Annotated[
        list[BandName],
        Query(description="Any of these approval bands, by currency and amount.", max_length=MOST_VALUES),
    ] = []
    month: Annotated[
        list[Month], Query(description="Submitted in any of these months of UTC.", max_length=MOST_VALUES)
    ] = []
    currency: Currency | None = None
    amount_min: AmountOrZero | None = None
    amount_max: AmountOrZero | None = None
    submitted_from: Instant | None = None
    submitted_to: Instant | None = None
    maker: Identifier | None = None
    sort: Annotated[
        Order,
        Field(
            description="`-` is descending: `-age` begins with the oldest. Amounts are compared as numbers, whatever "
            "their currency; an application without a score comes last."
        ),
    ] = Order.NEWEST

    @field_validator("q")
    @classmethod
    def _few_words(cls, q: str) -> str:
        if len(q.split()) > MOST_WORDS:
            raise ValueError(f"at most {MOST_WORDS} words")
        return q

    def to_domain(self) -> Filters:
        """The filters as the use case knows them."""
        return Filters(
            words=tuple(self.q.split()),
            states=tuple(self.state),
            products=tuple(self.product),
            channels=tuple(self.channel),
            bands=tuple(self.band),
            months=tuple(date.fromisoformat(f"{month}-01") for month in self.month),
            currency=self.currency,
            amount_min=self.amount_min,
            amount_max=self.amount_max,
            submitted_from=self.submitted_from,
            submitted_to=self.submitted_to,
            maker=self.maker,
        )


class SearchParameters(SearchFilters):
    """The parameters of a search."""

    facets: Annotated[
        str | None,
        Field(
            pattern=f"^({_FACETS})(,({_FACETS}))*$",
            max_length=100,
            description="Count everything that is found by these, separated by commas: state, product, channel, band, "
            "month. The filter of the same name does not apply to a count. Above 100,000 applications the counts are "
            "approximate.",
            examples=["state,product"],
        ),
    ] = None
    after: AfterText | None = None
    limit: Limit = 50

    def wanted_facets(self) -> tuple[Facet, ...]:
        """The facets to count by, each once."""
        names = self.facets.split(",") if self.facets else ()
        return tuple(dict.fromkeys(Facet(name) for name in names))


class ExportParameters(SearchFilters):
    """The parameters of an export."""

    reason: Annotated[
        Annotated[str, Label(200)] | None,
        Field(description="Why personal data is needed unmasked; recorded. Needs the scope parties:export."),
    ] = None


class HighlightView(BaseModel):
    """A part of the value of `field` that a word of `q` begins: Unicode characters from `from` up to before `to`."""

    model_config = ConfigDict(from_attributes=True)

    field: str
    start: Annotated[int, Field(serialization_alias="from", ge=0)]
    end: Annotated[int, Field(serialization_alias="to", ge=1)]


class FoundApplication(BaseModel):
    """An application in a list."""

    id: UUID
    state: State
    revision: int
    version: int
    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: str
    score: int | None
    maker: UUID
    borrower_id: UUID | None
    borrower_name: str | None
    submitted_at: datetime
    decided_at: datetime | None
    highlights: list[HighlightView]


class FacetValue(BaseModel):
    """How many applications have a value; `value` is null for those that have none, such as no band."""

    model_config = ConfigDict(from_attributes=True)

    value: str | None
    count: int


class FacetView(BaseModel):
    """Counts under all filters: `total`; and by facet, under all filters but the facet's own."""

    model_config = ConfigDict(from_attributes=True)

    total: int
    approximate: bool
    counts: dict[Facet, list[FacetValue]]


class CorrectionView(BaseModel):
    """A word of `q` that found next to nothing, and the words of names that were looked for as well."""

    word: str
    meant: list[str]


class FoundPage(BaseModel):
    """A page of applications; `next` is the next page's `after`, null on the last page.

    `facets` counts what all pages hold; it is null unless it was asked for. `corrected` is null shortly after a start,
    until names are read and typing errors can be corrected.
    """

    items: list[FoundApplication]
    next: str | None
    facets: FacetView | None
    corrected: list[CorrectionView] | None

    @classmethod
    def of(cls, found: Found, cursors: Cursors) -> Self:
        """Show `found`."""
        return cls(
            items=[FoundApplication.model_validate(row) for row in found.rows],
            next=cursors.next(found.next),
            facets=None if found.facets is None else FacetView.model_validate(found.facets),
            corrected=None
            if found.corrections is None
            else [CorrectionView(word=word, meant=list(meant)) for word, meant in found.corrections.items()],
        )


class ApplicationRow(BaseModel):
    """An application's own row."""

    id: UUID
    state: State
    current_version: int | None
    revision: int
    created_by: UUID
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None


class VersionRow(BaseModel):
    """One submitted version."""

    version: int
    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: str
    maker: UUID
    profile: dict[str, Any] | None
    score: int | None
    score_reasons: list[dict[str, Any]] | None
    submitted_at: datetime

    @field_validator("profile", "score_reasons", mode="before")
    @classmethod
    def _parsed(cls, text: str | None) -> Any:
        return None if text is None else orjson.loads(text)


class PartyRow(BaseModel):
    """Who takes part, and as what."""

    party_id: UUID
    role: str
    kind: str
    full_name: str | None
    birth_date: date | None
    national_id: str | None
    email: str | None
    phone: str | None


class DecisionRow(BaseModel):
    """One stage's decision on one version."""

    id: UUID
    version: int
    stage: str
    outcome: str
    decided_by: UUID | None
    reason_code: str | None
    comment: str | None
    decided_at: datetime


class EventRow(BaseModel):
    """The application came into a state."""

    id: UUID
    version: int | None
    from_state: State | None
    to_state: State
    actor: UUID | None
    role: str
    reason_code: str | None
    comment: str | None
    occurred_at: datetime


class InstalmentRow(BaseModel):
    """What is due on one day."""

    number: int
    due_on: date
    principal: Decimal
    interest: Decimal


class TransactionRow(BaseModel):
    """What was paid out or back."""

    id: UUID
    kind: str
    amount: Decimal
    currency: str
    effective_on: date | None
    reverses: UUID | None
    recorded_at: datetime


class LoanRow(BaseModel):
    """The booked loan."""

    id: UUID
    version: int
    product_code: str
    borrower_id: UUID
    principal: Decimal
    currency: str
    interest_rate: Decimal
    term_months: int
    booked_by: UUID
    booked_at: datetime
    restructured: bool
    defaulted: bool
    instalments: list[InstalmentRow]
    transactions: list[TransactionRow]


class ApplicationRecord(BaseModel):
    """An application with all its parts."""

    application: ApplicationRow
    versions: list[VersionRow]
    parties: list[PartyRow]
    decisions: list[DecisionRow]
    events: list[EventRow]
    loan: LoanRow | None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Show `record`."""
        return cls.model_validate(record)
