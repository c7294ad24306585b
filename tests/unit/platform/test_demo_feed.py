"""The demo's progress file: an interrupted demo is resumed, and repeats nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from services.lake.samples.german_credit import sample_split
from services.platform.demo.feed import FIRST_NUMBER, Feed, Ledger, application_body


def submitted(ledger: Ledger, number: int) -> None:
    ledger.add(number, party_id=f"party-{number}")
    ledger.add(
        number,
        application_id=f"application-{number}",
        clicked_at="2026-01-02T03:04:05.000006+00:00",
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "demo.ndjson"
    ledger = Ledger(path)
    submitted(ledger, 51)
    ledger.add(52, party_id="party-52")
    again = Ledger(path)
    assert again.parties == ledger.parties == {51: "party-51", 52: "party-52"}
    assert again.submissions == ledger.submissions
    [submission] = again.submissions.values()
    assert (submission.number, submission.application_id) == (51, "application-51")
    assert submission.clicked_at.isoformat() == "2026-01-02T03:04:05.000006+00:00"


@pytest.mark.parametrize("whole", [0, 1, 2])
def test_a_line_that_was_cut_off_counts_as_not_written(tmp_path: Path, whole: int) -> None:
    path = tmp_path / "demo.ndjson"
    ledger = Ledger(path)
    for number in range(51, 51 + whole):
        ledger.add(number, party_id=f"party-{number}")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"number": 60, "party_')
    cut_off = Ledger(path)
    assert len(cut_off.parties) == whole
    cut_off.add(60, party_id="party-60")
    assert Ledger(path).parties == cut_off.parties


class Maker:
    """Somebody who submits without a mesh, and notes what."""

    def __init__(self, username: str, *, fails_at: int | None = None) -> None:
        self.username = username
        self.fails_at = fails_at
        self.keys: list[str] = []

    async def post(
        self, service: str, path: str, body: Any = None, *, headers: Any = None, accept: Any = None
    ) -> tuple[int, Any, Any]:
        del service, body, accept
        await asyncio.sleep(0)
        if path == "/parties":
            return 201, {"id": "party"}, {}
        self.keys.append(headers["Idempotency-Key"])
        if len(self.keys) == self.fails_at:
            raise ConnectionResetError
        return 201, {"id": f"application-of-{headers['Idempotency-Key']}"}, {}


async def submit(path: Path, makers: list[Maker], limit: int) -> tuple[Ledger, int]:
    ticks: list[int] = []
    ledger = Ledger(path)
    mesh: Any = None
    people: Any = makers
    feed = Feed(mesh, TracerProvider().get_tracer("test"), ledger, lambda _, more: ticks.append(more))
    await feed.submit_all(people, limit)
    return ledger, sum(ticks)


async def test_every_application_is_submitted_once_and_shared_out(tmp_path: Path) -> None:
    makers = [Maker("a"), Maker("b"), Maker("c")]
    ledger, ticked = await submit(tmp_path / "demo.ndjson", makers, 20)
    assert ticked == 20
    assert sorted(ledger.submissions) == list(range(FIRST_NUMBER, FIRST_NUMBER + 20))
    assert {len(maker.keys) for maker in makers} == {6, 7}


async def test_after_an_interruption_the_same_maker_sends_the_same_key(tmp_path: Path) -> None:
    first = [Maker("a"), Maker("b", fails_at=3), Maker("c")]
    with pytest.raises(ExceptionGroup):
        await submit(tmp_path / "demo.ndjson", first, 20)
    unanswered = first[1].keys[-1]
    again = [Maker("a"), Maker("b"), Maker("c")]
    ledger, ticked = await submit(tmp_path / "demo.ndjson", again, 20)
    assert again[1].keys[0] == unanswered
    assert ticked == len(ledger.submissions) == 20
    senders = defaultdict(set)
    for maker in (*first, *again):
        for key in maker.keys:
            _, number, username = key.split("-")
            senders[number].add(username)
    assert {len(names) for names in senders.values()} == {1}, "another maker's key would not be recognised"


def test_the_body_is_what_the_form_asks_for() -> None:
    _, rest = sample_split()
    body = application_body(rest[0], "party-1")
    assert body["parties"] == [{"party_id": "party-1", "role": "borrower"}]
    assert body["amount"] == str(rest[0].amount)
    assert body["profile"] == dict(rest[0].profile)
