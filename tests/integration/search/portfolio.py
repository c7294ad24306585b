"""Many applications written into the replica at once, and what a search of them must find, without any SQL."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.chassis.web.identity import Caller
from services.lake.domain.roles import CHECKERS, Role, scopes_of
from services.lake.domain.states import State
from services.search.domain import BandRange, Facet, Filters
from tests.conftest import Database

PRODUCTS = ("CONSUMER", "CAR", "BUSINESS", "EDUCATION")
CHANNELS = ("branch", "partner", "online")
NAMES = ("Anna Nguyễn", "Bình Trần", "Carl Đặng", "Dora Ångström", "Emil O'Brien")
PURPOSES = ("car (new)", "radio/television", "education", "business")
MAKERS = tuple(uuid.UUID(int=number) for number in range(1, 4))
BANDS = (
    BandRange("standard", "DEM", Decimal(0), Decimal(5_000)),
    BandRange("enhanced", "DEM", Decimal(5_000), Decimal(15_000)),
    # No band covers the largest amounts, nor another currency.
    BandRange("committee", "DEM", Decimal(15_000), Decimal(20_000)),
)
SYLLABLES = (
    *("ba", "che", "dor", "fing", "gul", "hem", "jat", "kov"),
    *("lus", "mer", "nya", "pol", "rit", "sev", "tuy", "wol"),
)
START = datetime(2025, 11, 20, tzinfo=UTC)


def rare_name(chance: random.Random) -> str:
    """A name that few have: two to four syllables."""
    return "".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))).capitalize()


@dataclass(frozen=True)
class Row:
    """One application with all that a search looks at."""

    id: uuid.UUID
    state: State
    product: str
    channel: str
    amount: Decimal
    currency: str
    score: int | None
    purpose: str
    name: str
    maker: uuid.UUID
    submitted_at: datetime | None
    has_loan: bool

    @property
    def band(self) -> str | None:
        for band in BANDS:
            below = band.amount_below
            if (
                self.currency == band.currency
                and band.amount_from <= self.amount
                and (below is None or self.amount < below)
            ):
                return band.name
        return None

    @property
    def month(self) -> date:
        assert self.submitted_at is not None
        return self.submitted_at.date().replace(day=1)

    def value(self, facet: Facet) -> str | None:
        """What a facet counts the row by."""
        values: dict[Facet, str | None] = {
            Facet.STATE: self.state.value,
            Facet.PRODUCT: self.product,
            Facet.CHANNEL: self.channel,
            Facet.BAND: self.band,
            Facet.MONTH: f"{self.month:%Y-%m}",
        }
        return values[facet]

    def seen_by(self, caller: Caller) -> bool:
        """Whether the caller may see the row in a search."""
        roles = caller.roles
        return self.submitted_at is not None and (
            bool(roles & (CHECKERS | {Role.AUDITOR, Role.ANALYST, Role.SERVICE}))
            or (Role.SERVICING in roles and self.has_loan)
            or (Role.MAKER in roles and self.maker == caller.id)
        )

    def has(self, word: str, caller: Caller) -> bool:
        """Whether something that the caller sees has a word that begins with `word`."""
        text = self.purpose if Role.ANALYST in caller.roles else f"{self.name} {self.purpose}"
        return any(part.startswith(word) for part in re.split(r"[^a-z]+", text.lower()))

    def meets(self, filters: Filters, caller: Caller, but: Facet | None = None) -> bool:
        """Whether the row meets all filters but a facet's own."""
        assert self.submitted_at is not None
        wanted: dict[Facet, tuple[Sequence[Any], Any]] = {
            Facet.STATE: (filters.states, self.state),
            Facet.PRODUCT: (filters.products, self.product),
            Facet.CHANNEL: (filters.channels, self.channel),
            Facet.BAND: (filters.bands, self.band),
            Facet.MONTH: (filters.months, self.month),
        }
        return (
            all(not some or value in some for facet, (some, value) in wanted.items() if facet != but)
            and all(self.has(word, caller) for word in filters.words)
            and filters.currency in {None, self.currency}
            and filters.maker in {None, self.maker}
            and (filters.amount_min is None or self.amount >= filters.amount_min)
            and (filters.amount_max is None or self.amount <= filters.amount_max)
            and (filters.submitted_from is None or self.submitted_at >= filters.submitted_from)
            and (filters.submitted_to is None or self.submitted_at <= filters.submitted_to)
        )


@dataclass
class Portfolio:
    """The rows, and chances that repeat."""

    rows: list[Row]
    chance: random.Random = field(default_factory=lambda: random.Random(27))

    @classmethod
    async def write(
        cls,
        application: Database,
        count: int,
        seed: int = 16,
        change: Callable[[int, Row], Row] = lambda _, row: row,
    ) -> Portfolio:
        """Make `count` applications and have the replica's tables hold them and nothing else.

        `change` is told the number of each row.
        """
        chance = random.Random(seed)
        rows = [change(number, _row(chance)) for number in range(count)]
        async with application.connect("sink") as replica, replica.transaction():
            for table in ("application", "application_version", "application_party", "party", "loan"):
                await replica.execute(f"DELETE FROM credit.{table}")
            await replica.execute("DELETE FROM credit.approval_band")
            for table, columns, records in _records(rows):
                await replica.copy_records_to_table(
                    table, schema_name="credit", columns=columns, records=records
                )
        return cls(rows)

    def filters(self) -> Filters:
        """A search that somebody may make: most filters are not set."""
        chance = self.chance

        def some(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(chance.sample(values, chance.randint(1, 2))) if chance.random() < 0.3 else ()

        def one(value: Any) -> Any:
            return value if chance.random() < 0.15 else None

        low, first = chance.randint(0, 20_000), START + timedelta(days=chance.randint(0, 200))
        word = chance.choice(("car", "radio", "brien", "edu"))
        return Filters(
            words=(word,) if chance.random() < 0.15 else (),
            states=some((State.SUBMITTED, State.IN_REVIEW, State.BOOKED, State.REJECTED)),
            products=some((*PRODUCTS, "NOTHING")),
            channels=some(CHANNELS),
            bands=some(tuple(band.name for band in BANDS)),
            months=some((date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 4, 1))),
            currency=one("DEM"),
            amount_min=one(Decimal(low)),
            amount_max=one(Decimal(low + 8_000)),
            submitted_from=one(first),
            submitted_to=one(first + timedelta(days=60)),
            maker=one(chance.choice(MAKERS)),
        )

    def caller(self) -> Caller:
        """Somebody who searches."""
        role = self.chance.choice([role for role in Role if role is not Role.ADMINISTRATOR])
        return Caller(self.chance.choice(MAKERS), role, frozenset({role}), scopes_of([role]))

    def found(self, caller: Caller, filters: Filters, but: Facet | None = None) -> list[Row]:
        """What a search finds, in no order."""
        return [row for row in self.rows if row.seen_by(caller) and row.meets(filters, caller, but)]


def _row(chance: random.Random) -> Row:
    submitted = None
    if chance.random() < 0.95:
        # Few different instants, so that many rows are equal in the order.
        submitted = START + timedelta(hours=12 * chance.randint(0, 420))
    state = chance.choice((State.SUBMITTED, State.IN_REVIEW, State.BOOKED, State.REJECTED))
    return Row(
        id=uuid.UUID(int=chance.getrandbits(128)),
        state=State.DRAFT if submitted is None else state,
        product=chance.choice(PRODUCTS),
        channel=chance.choice(CHANNELS),
        amount=Decimal(chance.randint(1, 45)) * 500,
        currency="DEM" if chance.random() < 0.9 else "EUR",
        score=None if chance.random() < 0.2 else chance.randint(300, 320),
        purpose=chance.choice(PURPOSES),
        name=chance.choice(NAMES),
        maker=chance.choice(MAKERS),
        submitted_at=submitted,
        has_loan=state is State.BOOKED and submitted is not None,
    )


def _records(rows: Sequence[Row]) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    def naive(at: datetime | None) -> datetime | None:
        return None if at is None else at.replace(tzinfo=None)

    made = START.replace(tzinfo=None)
    yield (
        "application",
        [
            "id",
            "state",
            "current_version",
            "revision",
            "created_by",
            "created_at",
            "submitted_at",
            "migrated",
        ],
        [(row.id, row.state.value, 1, 1, row.maker, made, naive(row.submitted_at), False) for row in rows],
    )
    yield (
        "application_version",
        [
            *("application_id", "version", "product_code", "amount", "currency", "term_months", "purpose"),
            *("channel", "maker", "score", "submitted_at", "migrated"),
        ],
        [
            (
                *(row.id, 1, row.product, row.amount, row.currency, 12, row.purpose),
                *(row.channel, row.maker, row.score, naive(row.submitted_at) or made, row.score is None),
            )
            for row in rows
        ],
    )
    people = {row.id: uuid.uuid5(row.id, "party") for row in rows}
    yield (
        "party",
        ["id", "kind", "full_name", "email", "created_by", "created_at", "revision"],
        [(people[row.id], "person", row.name, "somebody@example.com", row.maker, made, 1) for row in rows],
    )
    yield (
        "application_party",
        ["application_id", "party_id", "role"],
        [(row.id, people[row.id], "borrower") for row in rows],
    )
    yield (
        "loan",
        [
            *("id", "application_id", "version", "product_code", "borrower_id", "principal", "currency"),
            *(
                "interest_rate",
                "term_months",
                "booked_by",
                "booked_at",
                "restructured",
                "defaulted",
                "migrated",
            ),
        ],
        [
            (
                *(
                    uuid.uuid5(row.id, "loan"),
                    row.id,
                    1,
                    row.product,
                    people[row.id],
                    row.amount,
                    row.currency,
                ),
                *(Decimal("0.1"), 12, MAKERS[0], made, False, False, False),
            )
            for row in rows
            if row.has_loan
        ],
    )
    yield (
        "approval_band",
        ["band", "stage_order", "stage", "currency", "amount_from", "amount_below"],
        [
            (band.name, order, stage, band.currency, band.amount_from, band.amount_below)
            for band in BANDS
            # A band with two stages counts its applications once.
            for order, stage in enumerate(("officer", "senior_officer"), 1)
        ],
    )
