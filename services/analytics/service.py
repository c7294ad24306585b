"""The use cases of analytics: KPIs with their values, the rows behind them, pages, builds and quality."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.analytics.catalogue.errors import UnknownMember
from services.analytics.catalogue.model import WHOLE, Catalogue, Kpi, Part
from services.analytics.catalogue.parameters import parameters_of
from services.analytics.catalogue.statements import Slice
from services.analytics.domain import FILTERS, MOST_POINTS, PAGES, Asked, Build, Run, first_day_shown
from services.analytics.errors import (
    BuildGone,
    NoSuchFilter,
    NoSuchKpi,
    NoSuchPage,
    NoSuchPoint,
    NothingPublished,
    TooManyPoints,
)
from services.analytics.repository import AnalyticsRepository
from services.analytics.warehouse import Warehouse
from services.chassis.database import Session

LOOK_AGAIN_SECONDS = 2.0
"""For how long the newest build is taken to be still the newest."""


@dataclass(frozen=True, slots=True)
class Values:
    """The points of one KPI in one build."""

    kpi: Kpi
    build: Build
    points: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Behind:
    """A page of the rows behind a part of one point, and what all of them add up to."""

    kpi: Kpi
    part: str
    build: Build
    point: Mapping[str, Any]
    published: Any
    """The part as the build has it; None for a population."""
    total: Any
    """The part as the rows of now add up to it; None for a population."""
    row_count: int
    rows: Sequence[Mapping[str, Any]]
    more: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a page shows of one currency on one day, of one build."""

    name: str
    build: Build
    currency: str | None
    currencies: Sequence[str]
    as_of: date | None
    kpis: Sequence[Values]


class Analytics:
    """The use cases over the warehouse."""

    def __init__(
        self,
        warehouse: Warehouse,
        repository: AnalyticsRepository,
        catalogue: Catalogue,
        business_time_zone: str,
    ) -> None:
        self.catalogue = catalogue
        self._warehouse = warehouse
        self._repository = repository
        self._zone = business_time_zone
        self._newest: tuple[float, Build] | None = None

    def kpi(self, identifier: str) -> Kpi:
        """One entry of the catalogue; raises NoSuchKpi."""
        try:
            return self.catalogue.kpis[identifier]
        except KeyError:
            raise NoSuchKpi(identifier) from None

    async def ping(self) -> None:
        """Whether the warehouse answers."""
        await self._warehouse.ping()

    async def builds(self) -> Sequence[Build]:
        """Every build that is kept, the newest first."""
        async with self._warehouse.transaction() as session:
            return await self._repository.builds(session)

    async def days(self, build_id: int | None) -> tuple[Build, Sequence[tuple[date, str]], Sequence[str]]:
        """The days and currencies that a build has; raises as `values` does."""
        async with self._warehouse.transaction() as session:
            build = await self._build(session, build_id)
            return (
                build,
                await self._repository.days(session, build.build_id),
                await self._repository.currencies(session, build.build_id),
            )

    async def build(self, build_id: int | None) -> Build:
        """The build of this id, by default the newest; raises NothingPublished or BuildGone."""
        async with self._warehouse.transaction() as session:
            return await self._build(session, build_id)

    async def newest_run(self) -> Run | None:
        """How the newest build of `ap` went, published or not; None before the first."""
        async with self._warehouse.transaction() as session:
            return await self._repository.newest_run(session)

    async def quality(self) -> Sequence[Mapping[str, Any]]:
        """The results of each flow's latest check."""
        async with self._warehouse.transaction() as session:
            return await self._repository.quality(session)

    async def values(self, identifier: str, asked: Asked, build_id: int | None) -> Values:
        """The points of a KPI, of the newest build unless one is named.

        Raises:
            NoSuchKpi: the catalogue has none of this name.
            NothingPublished: there is no build yet.
            BuildGone: the named build is not kept any more, or never was.
            NoSuchFilter: its table does not have what is filtered by.
            TooManyPoints: there are more than MOST_POINTS.
        """
        one = self.kpi(identifier)
        async with self._warehouse.transaction() as session:
            build = await self._build(session, build_id)
            return await self._values(session, one, asked, build)

    async def page(self, name: str, currency: str | None, as_of: date | None, build_id: int | None) -> Page:
        """Everything that a page shows, of one build.

        Args:
            name: one of PAGES.
            currency: one of the build's, by default the first.
            as_of: a day that the build has the portfolio of; by default its reporting date. What the page shows
                ends with it, and begins PAGE_MONTHS before.
            build_id: by default the newest.

        Raises:
            NoSuchPage: there is none of this name.
            NoSuchFilter: the build has no such currency or day; else as `values`.
        """
        if name not in PAGES:
            raise NoSuchPage(name)
        async with self._warehouse.transaction() as session:
            build = await self._build(session, build_id)
            currencies = await self._repository.currencies(session, build.build_id)
            if currency is not None and currency not in currencies:
                raise NoSuchFilter("currency", f"the build has: {', '.join(currencies) or 'none'}")
            if as_of is not None and as_of not in {
                day for day, _ in await self._repository.days(session, build.build_id)
            }:
                raise NoSuchFilter("as_of", "GET /as-of lists the days that the build has")
            chosen = currency or (currencies[0] if currencies else None)
            day = as_of or build.as_of_date
            asked = Asked(
                currency=chosen, period_from=None if day is None else first_day_shown(day), period_to=day
            )
            return Page(
                name=name,
                build=build,
                currency=chosen,
                currencies=currencies,
                as_of=day,
                kpis=[await self._values(session, self.kpi(one), asked, build) for one in PAGES[name]],
            )

    async def rows(  # noqa: PLR0917 - what tells a point apart
        self,
        identifier: str,
        part: str,
        asked: Asked,
        build_id: int | None,
        after: Sequence[str | date],
        limit: int,
    ) -> Behind:
        """The rows behind a part of the one point that is asked for.

        Raises:
            NoSuchPoint: no point, or more than one, is as asked, or the KPI has no such part; else as `values`.
        """
        one = self.kpi(identifier)
        if part not in one.parts:
            raise NoSuchPoint(f"{identifier} has no {part}; it has: {', '.join(one.parts)}")
        async with self._warehouse.transaction() as session:
            found = await self._values(session, one, asked, await self._build(session, build_id))
            if len(found.points) != 1:
                raise NoSuchPoint(
                    f"{len(found.points)} points of {identifier} are as asked for, not one; narrow it by currency, "
                    "dimension, member, grain, as_of, from and to; a transition also by from_bucket and to_bucket, a "
                    "vintage by cohort_month and months_on_book"
                )
            (point,) = found.points
            behind = one.parts[part]
            chosen = Slice(
                parameters_of(one.source.table, point, self._zone),
                dimension=point.get("dimension", WHOLE),
                member=point.get("member", WHOLE),
            )
            try:
                summed = await self._sum(session, one, behind, chosen)
                rows = await self._repository.rows(session, one, behind, chosen, after, limit + 1)
            except (KeyError, UnknownMember) as error:
                raise NoSuchPoint(f"{identifier} has no rows for this point: {error}") from None
        return Behind(
            kpi=one,
            part=part,
            build=found.build,
            point=point,
            published=point[getattr(one.source, part)] if behind.adds_up else None,
            total=summed[0],
            row_count=summed[1],
            rows=rows[:limit],
            more=len(rows) > limit,
        )

    async def _sum(self, session: Session, one: Kpi, part: Part, chosen: Slice) -> tuple[Any, int]:
        if not part.adds_up:
            return None, 0
        row = await self._repository.total(session, one, part, chosen)
        return row.total, row.row_count

    async def _values(self, session: Session, one: Kpi, asked: Asked, build: Build) -> Values:
        for name, column in FILTERS.items():
            if getattr(asked, name) is not None and not self._repository.has(one, column):
                raise NoSuchFilter(name, f"{one.id} is not told apart by it")
        points = await self._repository.points(session, one, build.build_id, asked)
        if len(points) > MOST_POINTS:
            raise TooManyPoints(one.id)
        return Values(one, build, points)

    async def _build(self, session: Session, build_id: int | None) -> Build:
        if build_id is not None:
            found = await self._repository.build(session, build_id)
            if found is None:
                raise BuildGone(build_id)
            return found
        now = time.monotonic()
        if self._newest is None or now - self._newest[0] > LOOK_AGAIN_SECONDS:
            newest = await self._repository.newest_build(session)
            if newest is None:
                raise NothingPublished
            self._newest = (now, newest)
        return self._newest[1]
