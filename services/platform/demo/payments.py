"""Record what happens under the booked loans, as servicing would: through intake's public API.

What takes two people a clerk proposes, and a member of the committee confirms.

All of it is synthetic (services/lake/samples/payments.py). Existing transactions are left unchanged, so that an
interrupted run can be resumed, and a run on a later day adds the transactions since.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.lake.domain.schedule import schedule
from services.lake.samples.german_credit import sample_split
from services.lake.samples.payments import Behaviour, Planned, behaviour
from services.lake.samples.rows import sample_rows
from services.platform.components.mesh import passwords
from services.platform.demo.client import Mesh, Person
from services.platform.demo.feed import FIRST_NUMBER, Ledger, people
from services.platform.platform import Platform

CLERKS = ("servicing1", "servicing2")
JUDGES = ("committee1", "committee2")
FLAGS = {"default": "defaulted", "restructured": "restructured"}
"""Where a loan shows how it is classified."""
REASON = "synthetic behaviour of the demo"
AT_ONCE = 8
PAGE = "200"


@dataclass(frozen=True, slots=True)
class Borrower:
    """The number of an application, and its class in the data set."""

    number: int
    good: bool


@dataclass(frozen=True, slots=True)
class Work:
    """A loan as intake lists it, and what is to be recorded under it by today."""

    loan: Mapping[str, Any]
    number: int
    planned: Sequence[Planned]
    classified: Mapping[str, date]

    @property
    def recorded(self) -> int:
        """How many transactions there are besides the disbursement at booking."""
        return int(self.loan["transactions"]) - 1


def borrowers(ledger: Ledger) -> dict[str, Borrower]:
    """Who applied, by the id of the application: the samples, and those that the demo has submitted."""
    samples, rest = sample_split()
    rows = sample_rows()["application"]
    known = {
        str(row["id"]): Borrower(number, sample.good)
        for number, (row, sample) in enumerate(zip(rows, samples, strict=True), start=1)
    }
    for number, submission in ledger.submissions.items():
        known[submission.application_id] = Borrower(number, rest[number - FIRST_NUMBER].good)
    return known


def work_on(loan: Mapping[str, Any], borrower: Borrower, today: date) -> Work:
    """What is to be recorded under a loan of intake's list."""
    instalments = schedule(
        Decimal(loan["principal"]),
        Decimal(loan["interest_rate"]),
        loan["term_months"],
        date.fromisoformat(loan["value_date"]),
        loan["currency"],
    )
    plan: Behaviour = behaviour(borrower.number, instalments, good=borrower.good)
    return Work(loan, borrower.number, plan.until(today), plan.classified(today))


@dataclass(slots=True)
class Servicing:
    """The work of servicing and of those who confirm what it proposes, with its counts."""

    clerks: Sequence[Person]
    judges: Sequence[Person]
    tick: Callable[[int], None]
    counts: Counter[str] = field(default_factory=Counter)

    async def loans(self) -> list[dict[str, Any]]:
        """Every booked loan."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = await self.clerks[0].get("intake", "/loans", params={"limit": PAGE, **after})
            found += page["items"]
            if page["next"] is None:
                return found
            after = {"after": page["next"]}

    async def record_all(self, works: Sequence[Work]) -> None:
        """Record what is missing, several loans at once, each loan's transactions one after another."""
        waiting = iter(works)

        async def desk() -> None:
            for work in waiting:
                await self._record(work)
                await self._classify(work)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(desk())

    async def _record(self, work: Work) -> None:
        if work.recorded >= len(work.planned):
            self.tick(len(work.planned))
            return
        # Always the same clerk for a number: their idempotency keys hold after an interruption too.
        clerk = self.clerks[work.number % len(self.clerks)]
        ids = await self._recorded(clerk, work) if work.recorded else {}
        self.tick(len(ids))
        for place, one in enumerate(work.planned):
            if place not in ids:
                ids[place] = await self._send(clerk, work, place, one, ids)
                self.tick(1)

    async def _recorded(self, clerk: Person, work: Work) -> dict[int, str | None]:
        """The ids of what is recorded already, by its place in the plan."""
        loan = await clerk.get("intake", f"/loans/{work.loan['id']}")
        unclaimed = list(loan["transactions"])
        ids: dict[int, str | None] = {}
        for place, one in enumerate(work.planned):
            for found in unclaimed:
                same = (found["kind"], found["effective_on"]) == (one.kind, one.day.isoformat())
                if same and Decimal(found["amount"]) == one.amount:
                    ids[place] = found["id"]
                    unclaimed.remove(found)
                    break
        return ids

    async def _send(
        self, clerk: Person, work: Work, place: int, one: Planned, ids: Mapping[int, str | None]
    ) -> str | None:
        body = {
            "kind": one.kind,
            "amount": str(one.amount),
            "currency": work.loan["currency"],
            "effective_on": one.day.isoformat(),
        }
        if one.reverses is not None:
            body["reverses"] = ids[one.reverses]
        key = f"demo-payment-{work.number}-{place}"
        if one.kind != "payment":
            # Nothing of the plan reverses it: what its transaction is called does not matter.
            return await self._by_two(clerk, work, {**body, "reason": REASON}, key, one.kind)
        status, recorded, _ = await clerk.post(
            "intake",
            f"/loans/{work.loan['id']}/transactions",
            body,
            headers={"Idempotency-Key": key},
            # Somebody else has recorded something under this loan that leaves no room for the plan.
            accept=(201, 409, 422),
        )
        self.counts[one.kind if status == 201 else "not taken"] += 1
        return str(recorded["id"]) if status == 201 else None

    async def _by_two(
        self, clerk: Person, work: Work, body: Mapping[str, Any], key: str, counted: str
    ) -> str | None:
        """Propose something and have it confirmed; gives the proposal's id, None when it is not taken."""
        status, proposal, _ = await clerk.post(
            "intake",
            f"/loans/{work.loan['id']}/proposals",
            body,
            headers={"Idempotency-Key": key},
            accept=(201, 409, 422),
        )
        for judge in self.judges if status == 201 else ():
            settled, _, _ = await judge.post(
                "intake",
                f"/proposals/{proposal['id']}/confirmation",
                headers={"If-Match": '"1"'},
                # 403: who approved or booked the loan does not confirm it, then the other one does. 409: it was settled
                # before an interruption.
                accept=(200, 403, 409),
            )
            if settled != 403:
                self.counts[counted if settled == 200 else "not taken"] += 1
                return str(proposal["id"])
        self.counts["not taken"] += 1
        return None

    async def _classify(self, work: Work) -> None:
        clerk = self.clerks[work.number % len(self.clerks)]
        for classification, since in work.classified.items():
            if not work.loan[FLAGS[classification]]:
                body = {
                    "kind": "classification",
                    "classification": classification,
                    "effective_on": since.isoformat(),
                    "reason": REASON,
                }
                key = f"demo-classification-{work.number}-{classification}"
                await self._by_two(clerk, work, body, key, classification)


async def record_payments(platform: Platform, console: Console) -> None:
    """Record under every loan that the samples or the demo have booked what has happened until today, with a bar.

    Raises:
        PlatformError: an API refused what it should take.
    """
    known = passwords(platform.home)
    ledger = Ledger(platform.home.root / "demo.ndjson")
    progress = Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    async with Mesh(platform.settings) as mesh:
        clerks = [clerk async for clerk in people(mesh, known, CLERKS)]
        judges = [judge async for judge in people(mesh, known, JUDGES)]
        applicants = borrowers(ledger)
        bar = progress.add_task("serviced")
        servicing = Servicing(clerks, judges, lambda more: progress.advance(bar, more))
        works = [
            work_on(loan, applicants[loan["application_id"]], datetime.now(UTC).date())
            for loan in await servicing.loans()
            if loan["application_id"] in applicants
        ]
        progress.update(bar, total=sum(len(work.planned) for work in works))
        with progress:
            await servicing.record_all(works)
    said = ", ".join(f"{number:,} {name}" for name, number in sorted(servicing.counts.items()))
    console.print(f"under {len(works):,} loans (synthetic): {said or 'nothing new'}")
