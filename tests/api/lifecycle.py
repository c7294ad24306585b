"""A random life of applications: people of every role act on them, and the lake must allow each state that it is in.

The machine sends what people could send, right or wrong, and asks the lake's tables after each step. It knows the
rules of the design, and of the services' code only the table of states.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import httpx
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.lake.domain.states import TRANSITIONS, State
from tests.integration.lending import Lending, User

R = TypeVar("R")
PEOPLE = {
    "maker": ("maker",),
    "other maker": ("maker",),
    "officer": ("officer",),
    "other officer": ("officer",),
    "senior": ("senior_officer",),
    "committee": ("committee",),
    # Who could do all of it, if nobody looked at who did the rest.
    "everything": ("maker", "officer", "senior_officer", "committee"),
    "servicing": ("servicing",),
    "auditor": ("auditor",),
    "analyst": ("analyst",),
    "administrator": ("administrator",),
}
AMOUNTS = ("900.00", "5000.00", "12000.00")
ACTIONS = ("approve", "approve", "approve", "reject", "return", "book", "submit", "withdraw", "claim", "save")
_SNAPSHOT = """
    SELECT a.id, a.state, a.revision, a.current_version, a.created_by,
      (SELECT count(*) FROM credit.loan l WHERE l.application_id = a.id) AS loans
    FROM credit.application a WHERE a.id = ANY($1::uuid[])
"""
# What must never be, whoever sent what: each selects the applications that break it.
NEVER = {
    "a decision on one's own version": """
        SELECT d.application_id FROM credit.decision d
        JOIN credit.application_version v USING (application_id, version)
        WHERE d.decided_by = v.maker OR d.maker <> v.maker
    """,
    "two decisions on a stage, or by one person on a version": """
        SELECT application_id FROM credit.decision GROUP BY application_id, version, stage HAVING count(*) > 1
        UNION ALL
        SELECT application_id FROM credit.decision GROUP BY application_id, version, decided_by HAVING count(*) > 1
    """,
    "a decision on a stage before the one below it is approved": """
        SELECT d.application_id FROM credit.decision d
        JOIN credit.application_version v USING (application_id, version)
        JOIN credit.approval_band b ON b.currency = v.currency AND b.stage = d.stage
          AND v.amount >= b.amount_from AND (b.amount_below IS NULL OR v.amount < b.amount_below)
        JOIN credit.approval_band below ON below.band = b.band AND below.stage_order < b.stage_order
        LEFT JOIN credit.decision first ON first.application_id = d.application_id AND first.version = d.version
          AND first.stage = below.stage AND first.outcome = 'approve' AND first.decided_at <= d.decided_at
        WHERE first.id IS NULL
    """,
    "a decision on a stage that the amount does not need": """
        SELECT d.application_id FROM credit.decision d
        JOIN credit.application_version v USING (application_id, version)
        WHERE NOT EXISTS (
          SELECT FROM credit.approval_band b WHERE b.currency = v.currency AND b.stage = d.stage
            AND v.amount >= b.amount_from AND (b.amount_below IS NULL OR v.amount < b.amount_below))
    """,
    "an approved application, or a loan, without every stage of its version": """
        SELECT a.id FROM credit.application a
        JOIN credit.application_version v ON v.application_id = a.id AND v.version = a.current_version
        JOIN credit.approval_band b ON b.currency = v.currency
          AND v.amount >= b.amount_from AND (b.amount_below IS NULL OR v.amount < b.amount_below)
        LEFT JOIN credit.decision d ON d.application_id = a.id AND d.version = v.version
          AND d.stage = b.stage AND d.outcome = 'approve'
        WHERE a.state IN ('APPROVED', 'BOOKED') AND d.id IS NULL
    """,
    "a loan of an application that is not booked, of another version, or none of a booked one": """
        SELECT a.id FROM credit.application a LEFT JOIN credit.loan l ON l.application_id = a.id
        WHERE (a.state = 'BOOKED') <> (l.id IS NOT NULL) OR l.version <> a.current_version
    """,
    "a loan that its own maker booked": """
        SELECT l.application_id FROM credit.loan l
        JOIN credit.application_version v ON v.application_id = l.application_id AND v.version = l.version
        WHERE l.booked_by = v.maker
    """,
}


@dataclass
class World:
    """The running services, and what a run has met."""

    lending: Lending
    loop: asyncio.AbstractEventLoop
    content: dict[str, dict[str, Any]] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    steps: int = 0

    def wait(self, call: Coroutine[Any, Any, R]) -> R:
        """The result of a coroutine that runs where the services do; called from another thread."""
        future: Future[R] = asyncio.run_coroutine_threadsafe(call, self.loop)
        return future.result(60)

    @classmethod
    async def over(cls, lending: Lending) -> World:
        """People, and for each maker what they apply for."""
        world = cls(lending, asyncio.get_running_loop())
        world.people = {name: lending.user(*roles) for name, roles in PEOPLE.items()}
        for name in ("maker", "other maker", "everything"):
            world.content[name] = await lending.content(world.people[name])
        return world


class Life(RuleBasedStateMachine):
    """Applications of three makers, and everybody's attempts at them."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.applications: list[str] = []
        self.seen: dict[str, tuple[str, int, int]] = {}

    @initialize(maker=st.sampled_from(["maker", "everything"]), amount=st.sampled_from(AMOUNTS))
    def first(self, maker: str, amount: str) -> None:
        """There is an application from the start."""
        self._create(maker, amount, submit=True)

    @precondition(lambda self: len(self.applications) < 6)
    @rule(
        maker=st.sampled_from(["maker", "other maker", "everything"]),
        amount=st.sampled_from(AMOUNTS),
        submit=st.booleans(),
    )
    def create(self, maker: str, amount: str, submit: bool) -> None:
        """Another one, as a draft or submitted."""
        self._create(maker, amount, submit=submit)

    @rule(
        who=st.sampled_from([*PEOPLE, "everything", "officer", "other officer", "senior", "committee"]),
        which=st.integers(0, 5),
        what=st.sampled_from(ACTIONS),
        late=st.sampled_from([0, 0, 0, 0, 1]),
    )
    def act(self, who: str, which: int, what: str, late: int) -> None:
        """Somebody does something, sometimes with what they saw a revision ago."""
        application = self.applications[which % len(self.applications)]
        seen = self.seen[application][1]
        revision = max(1, seen - late)
        answer = self.world.wait(self._send(self.world.people[who], application, what, revision))
        self._note(what, answer)
        self._check({application: answer.is_success and what not in {"claim", "save"}})
        # The first revision has none before it.
        if revision < seen and what != "claim":
            assert not answer.is_success, f"{what} with an old revision: {answer.text}"

    @rule(which=st.integers(0, 5), what=st.sampled_from(["approve", "reject", "book"]))
    def race(self, which: int, what: str) -> None:
        """Everybody who may decide does the same at the same moment: one of them at most succeeds."""
        application = self.applications[which % len(self.applications)]
        revision = self.seen[application][1]
        deciders = ("officer", "other officer", "senior", "committee", "everything")

        async def all_at_once() -> list[httpx.Response]:
            return await asyncio.gather(
                *(self._send(self.world.people[who], application, what, revision) for who in deciders)
            )

        answers = self.world.wait(all_at_once())
        for answer in answers:
            self._note(f"{what} at once", answer)
        succeeded = sum(answer.is_success for answer in answers)
        assert succeeded <= 1, [answer.text for answer in answers]
        self._check({application: succeeded == 1})

    def _create(self, maker: str, amount: str, *, submit: bool) -> None:
        world = self.world
        body = {**world.content[maker], "amount": amount, "submit": submit}
        answer = world.wait(world.lending.post(world.people[maker], body))
        assert answer.status_code == 201, answer.text
        self.applications.append(answer.json()["id"])
        self._check({})

    async def _send(self, user: User, application: str, what: str, revision: int) -> httpx.Response:
        lending = self.world.lending
        if what in {"approve", "reject", "return"}:
            more = {} if what == "approve" else {"reason_code": "policy", "comment": "as agreed"}
            if what == "return":
                more["reason_code"] = "incomplete_documents"
            return await lending.decide(user, application, revision, what, **more)
        if what == "book":
            return await lending.book(user, application, revision, {})
        if what == "claim":
            return await lending.approval.put(f"/applications/{application}/claim", headers=user.headers)
        if what == "save":
            body = {**self.world.content["maker"], "amount": "800.00"}
            headers = {**user.headers, "If-Match": f'"{revision}"'}
            return await lending.intake.put(f"/applications/{application}/draft", json=body, headers=headers)
        noun = {"submit": "submission", "withdraw": "withdrawal"}[what]
        return await lending.act(lending.intake, user, application, noun, revision)

    def _note(self, what: str, answer: httpx.Response) -> None:
        self.world.steps += 1
        self.world.answers[f"{what} {answer.status_code}"] += 1
        # 503 says that a lock was held for too long, and to try again; nothing else of this kind may be.
        assert answer.status_code < 500 or answer.status_code == 503, answer.text

    def _check(self, moved: dict[str, bool]) -> None:
        """Compare every application with what it was: only what succeeded has changed it, and as the states allow."""
        rows, broken = self.world.wait(self._read())
        assert broken == {}, broken
        for row in rows:
            application, now = str(row["id"]), (row["state"], row["revision"], row["loans"])
            before = self.seen.get(application)
            if before is not None and before != now:
                assert now[1] == before[1] + 1, f"{before} → {now}"
            if before is not None and before[0] != now[0]:
                assert moved.get(application), f"{before} → {now} though it was refused"
                # A decision on the last stage of a submitted application leads through IN_REVIEW.
                reached = set(TRANSITIONS[State(before[0])].values())
                through = {state for middle in reached for state in TRANSITIONS[middle].values()}
                assert State(now[0]) in reached | through, f"{before} → {now}"
            self.seen[application] = now

    async def _read(self) -> tuple[list[Any], dict[str, list[str]]]:
        ids = [uuid.UUID(one) for one in self.applications]
        async with self.world.lending.lake.connect() as connection:
            rows = await connection.fetch(_SNAPSHOT, ids)
            broken = {
                what: found
                for what, query in NEVER.items()
                if (found := [str(one[0]) for one in await connection.fetch(query)])
            }
        return rows, broken

    def teardown(self) -> None:
        """Count where the applications have come to."""
        self.world.states.update(state for state, _, _ in self.seen.values())


def live(world: World, *, number: int, steps: int, lives: int) -> None:
    """Run the machine; blocks, so call it in a thread of its own.

    Args:
        world: the services.
        number: the seed.
        steps: actions of one life.
        lives: how many lives.
    """
    Life.world = world
    run_state_machine_as_test(
        seed(number)(Life),
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
