"""Imports of files: what is made of their rows, once, whatever happens to files and workers on the way."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.conftest import Database
from tests.integration.intake.importing import (
    CSV,
    NDJSON,
    WRONG_VALUES,
    application_row,
    as_csv,
    as_ndjson,
    assert_named,
    ended,
    files,
    made_in,
    rows_of_import,
    sample_file,
    send,
)
from tests.integration.intake.proposing import booked_loan
from tests.integration.lending import OBJECT_KEY, Lending, User, assert_problem

SMALL_BYTES = 1 << 20
LINE = b"{%s}\n" % (b" " * 1_000)


@pytest.fixture
async def importing(fresh_lake: Database, application: Database, tmp_path: Path) -> AsyncIterator[Lending]:
    """Intake whose imports are at most a MiB."""
    stored = {"object_store_url": tmp_path.as_uri(), "object_store_keys": SecretStr(OBJECT_KEY)}
    async with Lending.over(fresh_lake, application, max_import_bytes=SMALL_BYTES, **stored) as made:
        yield made


@pytest.mark.parametrize(
    "rows", [120, pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
async def test_case_19_rows_with_37_faults(importing: Lending, tmp_path: Path, rows: int) -> None:
    maker, file = importing.user("maker"), sample_file(rows)
    assert (file.rows, len(file.faults)) == (rows, 37)
    packed = {"Content-Encoding": "gzip"}
    sent = await send(importing, maker, gzip.compress(file.content), headers=packed)
    assert sent.status_code == 202, sent.text
    path = sent.headers["location"]
    assert path == f"/imports/{sent.json()['id']}"
    assert (sent.json()["state"], sent.json()["rows"]) == ("waiting", rows)

    view = await ended(importing, maker, path)
    assert (view["state"], view["made"], view["repeated"], view["rejected"]) == ("done", file.good, 0, 37)
    assert view["size_bytes"] == len(file.content)
    rejected = await rows_of_import(importing, maker, path)
    assert_named(rejected, file.faults)
    assert set((await made_in(importing.lake)).values()) == {file.good}
    # Nobody needs the file any more, and nothing of it is in the report.
    assert files(tmp_path) == []
    said = json.dumps(rejected, ensure_ascii=False)
    for line in file.faults:
        person = application_row(line)["party"]
        for name in ("full_name", "birth_date", "national_id", "email", "phone"):
            assert person[name] not in said
    assert not [value for value in WRONG_VALUES if value in said]

    # Sent again, packed or not: nothing new, and what was wrong is as wrong as before.
    again = await send(importing, maker, file.content)
    view = await ended(importing, maker, again.headers["location"])
    assert (view["made"], view["repeated"], view["rejected"]) == (0, file.good, 37)
    assert set((await made_in(importing.lake)).values()) == {file.good}


async def test_what_is_made_is_the_senders_and_in_the_trace_that_sent_it(importing: Lending) -> None:
    maker = importing.user("maker")
    trace = uuid.uuid4().hex
    parent = {"traceparent": f"00-{trace}-{uuid.uuid4().hex[:16]}-01"}
    rows = [application_row(1), application_row(2, application={"submit": False})]
    sent = await send(importing, maker, as_ndjson(rows), headers=parent)
    path = sent.headers["location"]
    view = await ended(importing, maker, path)
    assert view["made"] == 2

    made = await rows_of_import(importing, maker, path, "made")
    assert [one["line"] for one in made] == [1, 2]
    seen = [
        (await importing.intake.get(f"/applications/{one['id']}", headers=maker.headers)).json()
        for one in made
    ]
    assert [one["state"] for one in seen] == ["SUBMITTED", "DRAFT"]
    assert {one["created_by"] for one in seen} == {str(maker.id)}
    assert [one["amount"] for one in seen] == [f"{float(row['application']['amount']):.4f}" for row in rows]
    async with importing.lake.connect() as connection:
        changes = await connection.fetch(
            "SELECT DISTINCT actor, traceparent FROM journal.change WHERE table_name = 'credit.application'"
        )
    assert {(one["actor"], one["traceparent"].split("-")[1]) for one in changes} == {(str(maker.id), trace)}


async def test_an_import_is_its_senders_alone(importing: Lending) -> None:
    maker, other = importing.user("maker"), importing.user("maker")
    sent = await send(importing, maker, as_ndjson([application_row(1)]))
    path = sent.headers["location"]
    await ended(importing, maker, path)
    page = (await importing.intake.get("/imports", headers=maker.headers)).json()
    assert [one["id"] for one in page["items"]] == [sent.json()["id"]]
    for user in (other, importing.user("servicing")):
        assert (await importing.intake.get("/imports", headers=user.headers)).json()["items"] == []
        assert_problem(await importing.intake.get(path, headers=user.headers), 404)
        assert_problem(await importing.intake.get(f"{path}/rows", headers=user.headers), 404)
    # The numbers are each sender's own: the same file of another one is refused for its people only.
    again = await send(importing, other, as_ndjson([application_row(1)]))
    view = await ended(importing, other, again.headers["location"])
    assert (view["repeated"], view["rejected"]) == (0, 1)
    (fault,) = await rows_of_import(importing, other, again.headers["location"])
    assert fault["pointer"] == "/party/national_id"


async def test_each_kind_needs_the_scopes_of_what_its_rows_become(importing: Lending) -> None:
    content = as_ndjson([application_row(1)])
    for user, kind in (
        (importing.user("maker"), "payments"),
        (importing.user("servicing"), "applications"),
        (importing.user("officer"), "applications"),
        (importing.user("auditor"), "payments"),
        (importing.user("service"), "payments"),
    ):
        assert_problem(await send(importing, user, content, kind=kind), 403)
    half = User(importing.tokens.headers(scopes=["applications:submit"], roles=["service"]), uuid.uuid4())
    assert_problem(await send(importing, half, content), 403)
    program = importing.user("service")
    sent = await send(importing, program, content)
    assert (await ended(importing, program, sent.headers["location"]))["made"] == 1


async def test_a_table_of_a_spreadsheet(importing: Lending) -> None:
    maker = importing.user("maker")
    rows = [
        application_row(
            1, party={"full_name": 'Jürgen "Joe", Żak'}, application={"purpose": "=HYPERLINK(1)"}
        ),
        application_row(2, application={"purpose": "+49"}),
        application_row(3, application={"term_months": "many"}),
        application_row(4, application={"submit": False}),
    ]
    content = b"\xef\xbb\xbf" + as_csv(rows)
    assert b"\r\n" in content
    sent = await send(importing, maker, content, f"{CSV}; charset=UTF-8")
    path = sent.headers["location"]
    view = await ended(importing, maker, path)
    assert (view["format"], view["made"], view["rejected"]) == ("csv", 3, 1)
    assert_named(await rows_of_import(importing, maker, path), {4: "/application/term_months"})
    async with importing.lake.connect() as connection:
        purposes = await connection.fetch("SELECT purpose FROM credit.application_version ORDER BY purpose")
        names = await connection.fetch("SELECT full_name FROM credit.party WHERE external_ref IS NULL")
    assert [one["purpose"] for one in purposes] == ["+49", "=HYPERLINK(1)"]
    assert 'Jürgen "Joe", Żak' in {one["full_name"] for one in names}


async def test_rows_without_numbers_are_known_by_their_file_and_line(importing: Lending) -> None:
    maker = importing.user("maker")
    # Two lines that say the same are two rows.
    one = application_row(1, party={"national_id": None})
    del one["external_ref"]
    content = as_ndjson([one, one])
    for made, repeated in ((2, 0), (0, 2)):
        sent = await send(importing, maker, content)
        view = await ended(importing, maker, sent.headers["location"])
        assert (view["made"], view["repeated"], view["rejected"]) == (made, repeated, 0)


async def test_a_corrected_file_makes_what_was_rejected(importing: Lending) -> None:
    maker = importing.user("maker")
    rows = [application_row(n) for n in (1, 2, 3)]
    wrong = [rows[0], application_row(2, party={"birth_date": "2020-01-01"}), rows[2]]
    first = await send(importing, maker, as_ndjson(wrong))
    view = await ended(importing, maker, first.headers["location"])
    assert (view["made"], view["rejected"]) == (2, 1)
    second = await send(importing, maker, as_ndjson(rows))
    view = await ended(importing, maker, second.headers["location"])
    assert (view["made"], view["repeated"], view["rejected"]) == (1, 2, 0)
    # A number says the same row, or it is refused.
    third = await send(importing, maker, as_ndjson([application_row(3, application={"purpose": "boat"})]))
    await ended(importing, maker, third.headers["location"])
    assert_named(await rows_of_import(importing, maker, third.headers["location"]), {1: "/external_ref"})


async def test_payments(importing: Lending) -> None:
    loan = await booked_loan(importing)
    clerk = importing.user("servicing")
    payment = {"loan_id": loan["loan_id"], "kind": "payment", "amount": "10.50", "currency": "DEM"}
    rows: list[Any] = [
        {**payment, "external_ref": "P-1"},
        {**payment, "external_ref": "P-2", "amount": 20},
        {**payment, "external_ref": "P-3", "currency": "USD"},
        {**payment, "external_ref": "P-4", "loan_id": str(uuid.uuid4())},
        {**payment, "external_ref": "P-5", "kind": "write-off"},
        {**payment, "external_ref": "P-1"},
        {**payment, "external_ref": "P-6", "amount": "99999999"},
        {**payment, "external_ref": "P-7", "effective_on": "2999-01-01"},
    ]
    wrong = {3: "/currency", 4: "/loan_id", 5: "/kind", 7: "/amount", 8: "/effective_on"}
    # The numbers are the same in another format, and the header is a line.
    for content, media_type, made, offset in ((as_ndjson(rows), NDJSON, 2, 0), (as_csv(rows), CSV, 0, 1)):
        sent = await send(importing, clerk, content, media_type, kind="payments")
        path = sent.headers["location"]
        view = await ended(importing, clerk, path)
        assert (view["made"], view["repeated"], view["rejected"]) == (made, 3 - made, 5)
        expected = {line + offset: pointer for line, pointer in wrong.items()}
        assert_named(await rows_of_import(importing, clerk, path), expected)
    seen = (await importing.intake.get(f"/loans/{loan['loan_id']}", headers=clerk.headers)).json()
    assert seen["paid"] == "30.5000"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (gzip.compress(bytes(50 << 20)), {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(LINE * (2 * SMALL_BYTES // len(LINE))), {"Content-Encoding": "gzip"}, 413),
        (LINE * (SMALL_BYTES // len(LINE) + 1), {}, 413),
        (b"not gzip", {"Content-Encoding": "gzip"}, 422),
        (gzip.compress(b"{}\n" * 100)[:-9], {"Content-Encoding": "gzip"}, 422),
        (b"", {}, 422),
        (b"\n \r\n\n", {}, 422),
        (gzip.compress(b""), {"Content-Encoding": "gzip"}, 422),
        (as_csv([application_row(1)]).splitlines()[0], {"Content-Type": CSV}, 422),
        (b"a,b\n1,2\n", {"Content-Type": CSV}, 422),
        (as_csv([application_row(1)]) + b'"open', {"Content-Type": CSV}, 422),
        ("{}\n".encode("utf-16"), {}, 422),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"{}", {"Content-Type": "application/x-ndjson; charset=latin1"}, 415),
        (b"{}", {"Content-Encoding": "br"}, 415),
    ],
    # Gzip has the second of its making in it: by the content, two processes would name one test differently.
    ids=[
        "bomb of zeros",
        "bomb of rows",
        "too large",
        "no gzip",
        "gzip that was cut",
        "nothing",
        "empty lines",
        "nothing in gzip",
        "a header alone",
        "unknown columns",
        "a quote that does not end",
        "utf-16",
        "json",
        "latin1",
        "brotli",
    ],
)
async def test_what_is_no_such_file_is_refused_whole(
    importing: Lending, tmp_path: Path, content: bytes, headers: dict[str, str], status: int
) -> None:
    maker = importing.user("maker")

    async def streamed() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 8192):
            yield content[start : start + 8192]

    for body in (content, streamed()):
        assert_problem(
            await send(importing, maker, body, headers=headers), status, *(["/body"] if status == 422 else [])
        )
    assert files(tmp_path) == []
    assert (await importing.intake.get("/imports", headers=maker.headers)).json()["items"] == []


async def test_a_repeated_request_gets_the_first_answer(importing: Lending, tmp_path: Path) -> None:
    maker, key = importing.user("maker"), str(uuid.uuid4())
    content = as_ndjson([application_row(1)])
    first = await send(importing, maker, content, key=key)
    again = await send(importing, maker, content, key=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.headers["location"] == first.headers["location"]
    assert_problem(await send(importing, maker, content + b"{}", key=key), 422, "/header/Idempotency-Key")
    await ended(importing, maker, first.headers["location"])
    assert files(tmp_path) == []


async def test_without_a_store_imports_are_not_set_up(fresh_lake: Database, application: Database) -> None:
    nowhere = {"object_store_url": None, "object_store_keys": None}
    async with Lending.over(fresh_lake, application, **nowhere) as lending:
        maker = lending.user("maker")
        assert_problem(await send(lending, maker, as_ndjson([application_row(1)])), 503)
        assert (await lending.intake.get("/imports", headers=maker.headers)).json()["items"] == []
