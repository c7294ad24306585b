"""Feed real applications through intake as several makers, and have several checkers decide them.

The checkers' rule is documented in docs/guides/demo.md: at every stage of the amount's band an application that
scores at least `APPROVE_FROM` is approved, any other rejected for its score. Each stage is another person's.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

from opentelemetry.trace import Tracer, format_trace_id

from services.lake.samples.german_credit import SampleApplication, sample_split
from services.lake.samples.payments import value_date
from services.lake.samples.people import person
from services.lake.samples.reference import CURRENCY
from services.lake.samples.rows import APPROVE_FROM, product_of
from services.platform.demo.client import Mesh, Person, click

FIRST_NUMBER = 51
"""The fifty samples have the numbers before."""
SEED = 950

Tick = Callable[[str, int], None]
"""Called with the progress: `submitted`, `decided` or `booked`, and the number of further ones."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One application that went in: when the maker clicked (UTC), and the trace that the click began."""

    number: int
    application_id: str
    clicked_at: datetime
    trace_id: str


class Ledger:
    """The steps that the demo has completed, one line each, so that an interrupted demo can be resumed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.parties: dict[int, str] = {}
        self.submissions: dict[int, Submission] = {}
        if path.exists():
            whole, _, unfinished = path.read_text(encoding="utf-8").rpartition("\n")
            for line in whole.splitlines():
                self._take(json.loads(line))
            if unfinished:
                # An incomplete last line: its step counts as not done, and the next step starts a new line.
                path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")

    def _take(self, entry: dict[str, Any]) -> None:
        number = entry["number"]
        if "party_id" in entry:
            self.parties[number] = entry["party_id"]
        else:
            self.submissions[number] = Submission(
                number,
                entry["application_id"],
                datetime.fromisoformat(entry["clicked_at"]),
                entry["trace_id"],
            )

    def add(self, number: int, **entry: str) -> None:
        """Remember a step, on disk before anything follows it."""
        line = {"number": number, **entry}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._take(line)


@dataclass(slots=True)
class Feed:
    """The makers' and checkers' work, with its counts."""

    mesh: Mesh
    tracer: Tracer
    ledger: Ledger
    tick: Tick
    outcomes: Counter[str] = field(default_factory=Counter)

    async def submit_all(self, makers: Sequence[Person], limit: int | None = None) -> None:
        """Submit what has not been submitted yet, all makers at once, each one application after another.

        Args:
            makers: who submits.
            limit: at most this many of the 950, for tests.
        """
        _, rest = sample_split()
        todo = [
            (number, sample)
            for number, sample in enumerate(rest[:limit], start=FIRST_NUMBER)
            if number not in self.ledger.submissions
        ]
        self.tick("submitted", len(rest[:limit]) - len(todo))

        async def work(desk: int) -> None:
            for number, sample in todo:
                # Always the same maker for a number: their idempotency key holds after an interruption too.
                if number % len(makers) == desk:
                    await self._submit(makers[desk], number, sample)
                    self.tick("submitted", 1)

        async with asyncio.TaskGroup() as tasks:
            for desk in range(len(makers)):
                tasks.create_task(work(desk))

    async def _submit(self, maker: Person, number: int, sample: SampleApplication) -> None:
        # Made-up people must be the same for a number whatever the order of the work.
        chance = random.Random(SEED * 1_000 + number)  # noqa: S311
        clicked_at = datetime.now(UTC)
        with click(self.tracer, "submit") as span:
            party_id = self.ledger.parties.get(number)
            if party_id is None:
                who = person(chance, number, sample.age_years, clicked_at.date())
                status, party, _ = await maker.post(
                    "intake",
                    "/parties",
                    {
                        "kind": "person",
                        "full_name": who.full_name,
                        "birth_date": who.birth_date.isoformat(),
                        "national_id": who.national_id,
                        "email": who.email,
                        "phone": who.phone,
                    },
                    headers={"Idempotency-Key": f"demo-party-{number}-{maker.username}"},
                    # On record already: this desk was interrupted before it had noted the id, more than 7 days ago.
                    accept=(201, 409),
                )
                party_id = str(party["id"] if status == 201 else party["own_parties"][0])
                self.ledger.add(number, party_id=party_id)
            # One key an application: sent again after an interruption, it is answered and not repeated.
            _, application, _ = await maker.post(
                "intake",
                "/applications",
                application_body(sample, party_id),
                headers={"Idempotency-Key": f"demo-{number}-{maker.username}"},
            )
            trace_id = format_trace_id(span.get_span_context().trace_id)
        self.ledger.add(
            number,
            application_id=application["id"],
            clicked_at=clicked_at.isoformat(),
            trace_id=trace_id,
        )

    async def decide_all(self, checkers: Sequence[Person], submitting: asyncio.Task[None]) -> None:
        """Have every checker empty their queue, until nothing is submitted any more and all queues are empty."""

        async def work(checker: Person, desk: int) -> None:
            while True:
                no_more = submitting.done()
                waiting = await checker.get("approval", "/queue", params={"limit": 50})
                # Two people share each stage's queue, as colleagues do who sit at two desks.
                mine = [item for item in waiting["items"] if crc32(item["id"].encode()) % 2 == desk]
                for item in mine:
                    await self._decide(checker, item)
                if not mine and no_more and not await self._others_have_work(checkers):
                    return
                if not mine:
                    await asyncio.sleep(0.2)

        async with asyncio.TaskGroup() as tasks:
            for number, checker in enumerate(checkers):
                tasks.create_task(work(checker, number % 2))

    async def _others_have_work(self, checkers: Sequence[Person]) -> bool:
        """Whether an earlier stage may still bring something into a queue that is empty now."""
        for checker in checkers:
            if (await checker.get("approval", "/queue", params={"limit": 1}))["items"]:
                return True
        return False

    async def _decide(self, checker: Person, item: dict[str, Any]) -> None:
        approve = item["score"] >= APPROVE_FROM
        body = {"outcome": "approve"} if approve else {"outcome": "reject", "reason_code": "low_score"}
        with click(self.tracer, "decide"):
            status, record, _ = await checker.post(
                "approval",
                f"/applications/{item['id']}/decisions",
                body,
                headers={"If-Match": f'"{item["revision"]}"'},
                # Another checker was faster: 412 says so, and nothing is decided twice.
                accept=(200, 409, 412, 403),
            )
        if status != 200:
            self.outcomes["met by another checker"] += 1
            return
        self.outcomes[f"{item['stage']}: {body['outcome']}"] += 1
        if record["state"] in {"APPROVED", "REJECTED"}:
            self.tick("decided", 1)
        if record["state"] == "APPROVED":
            await self._book(checker, item, item["borrower"], record["revision"])

    async def book_left_over(self, checker: Person) -> None:
        """Book what an interrupted run has approved and not booked any more: no queue offers it."""
        ours = {submission.application_id for submission in self.ledger.submissions.values()}
        after: str | None = None
        while ours:
            parameters = {"state": "APPROVED", "limit": "100"} | ({"after": after} if after else {})
            page = await checker.get("search", "/applications", params=parameters)
            for item in page["items"]:
                if item["id"] in ours:
                    record = await checker.get("approval", f"/applications/{item['id']}")
                    if record["state"] == "APPROVED":
                        await self._book(checker, item, item["borrower_name"], record["revision"])
            after = page["next"]
            if after is None:
                return

    async def _book(
        self, checker: Person, item: Mapping[str, Any], borrower: str | None, revision: int
    ) -> None:
        # By what was applied for and not by its id, which is another after a reset.
        counts_from = value_date(datetime.now(UTC).date(), borrower, item["amount"], item["term_months"])
        with click(self.tracer, "book"):
            await checker.post(
                "approval",
                f"/applications/{item['id']}/booking",
                {"value_date": counts_from.isoformat()},
                headers={"If-Match": f'"{revision}"'},
            )
        self.tick("booked", 1)


def application_body(sample: SampleApplication, party_id: str) -> dict[str, Any]:
    """What the maker types in, as intake's API takes it."""
    return {
        "product_code": product_of(sample.purpose),
        "amount": str(sample.amount),
        "currency": CURRENCY,
        "term_months": sample.term_months,
        "purpose": sample.purpose,
        "channel": "branch",
        "parties": [{"party_id": party_id, "role": "borrower"}],
        "profile": dict(sample.profile),
    }


async def people(mesh: Mesh, passwords: dict[str, str], usernames: Sequence[str]) -> AsyncIterator[Person]:
    """Log the named users in, one after another."""
    for username in usernames:
        yield await mesh.log_in(username, passwords[username])
