"""Documents of applications: what is stored and where, who sees it, and what a scan does to it."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.chassis.objects.opening import open_objects
from services.intake.documents.domain import MOST_DOCUMENTS
from tests.conftest import Database
from tests.integration.intake.files import JPEG, PDF, PNG, TIFF
from tests.integration.intake.filing import Filing
from tests.integration.lending import OBJECT_KEY, Lending, assert_problem

LIMIT = 64 << 10


@pytest.fixture(scope="module")
async def filing(
    lake: Database, application: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Filing]:
    folder = tmp_path_factory.mktemp("objects")
    async with Filing.over(lake, application, folder, max_document_bytes=LIMIT) as made:
        yield made


@pytest.mark.parametrize(
    ("media_type", "content"),
    [("application/pdf", PDF), ("image/jpeg", JPEG), ("image/png", PNG), ("image/tiff", TIFF)],
)
async def test_a_document_is_stored_encrypted_and_comes_back_as_it_was(
    filing: Filing, media_type: str, content: bytes
) -> None:
    maker, officer = filing.lending.user("maker"), filing.lending.user("officer")
    view = await filing.lending.submitted(maker)
    added = await filing.add(maker, view["id"], content, media_type, "hợp đồng")
    assert added.status_code == 201, added.text
    seen = added.json()
    assert added.headers["Location"] == f"/documents/{seen['id']}"
    assert (seen["file_name"], seen["media_type"], seen["size_bytes"]) == (
        "hợp đồng",
        media_type,
        len(content),
    )
    assert seen["sha256"] == hashlib.sha256(content).hexdigest()
    # There is no scanner, and every answer says so.
    assert (seen["scan_state"], seen["scanner"], seen["scanned_at"]) == ("clean", "none", None)
    assert "nobody looked" in seen["scan_note"]

    for user in (maker, officer):
        assert (await filing.get(user, f"/documents/{seen['id']}")).json() == seen
        assert (await filing.get(user, f"/applications/{view['id']}/documents")).json() == [seen]
        file = await filing.get(user, f"/documents/{seen['id']}/content")
        assert (file.status_code, file.content) == (200, content)
        assert file.headers["content-type"] == media_type
        assert file.headers["content-length"] == str(len(content))
        assert file.headers["content-disposition"].startswith("attachment; ")
        assert "filename*=UTF-8''h%E1%BB%A3p%20%C4%91%E1%BB%93ng." in file.headers["content-disposition"]
        assert file.headers["x-content-type-options"] == "nosniff"
        assert file.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert file.headers["cache-control"] == "no-store"
        assert file.headers["document-scanner"] == "none"
    (stored,) = [path for path in filing.files if path.name == seen["id"]]
    assert content[:16] not in stored.read_bytes()


async def test_who_may_not_see_an_application_finds_no_document_of_it(filing: Filing) -> None:
    maker, other = filing.lending.user("maker"), filing.lending.user("maker")
    application_id = await filing.draft(maker)
    document_id = (await filing.add(maker, application_id)).json()["id"]
    for user in (other, filing.lending.user("officer")):
        assert_problem(await filing.get(user, f"/documents/{document_id}"), 404)
        assert_problem(await filing.get(user, f"/documents/{document_id}/content"), 404)
        assert_problem(await filing.get(user, f"/applications/{application_id}/documents"), 404)
    assert_problem(await filing.add(other, application_id), 404)
    # An auditor sees that it is there, and nothing that could be a person's name.
    auditor = filing.lending.user("auditor")
    seen = (await filing.get(auditor, f"/documents/{document_id}")).json()
    assert (seen["id"], seen["file_name"]) == (document_id, None)
    assert_problem(await filing.get(auditor, f"/documents/{document_id}/content"), 404)
    assert_problem(await filing.get(filing.lending.user("analyst"), f"/documents/{document_id}"), 403)


async def test_only_the_maker_adds_and_only_while_the_application_is_open(filing: Filing) -> None:
    maker = filing.lending.user("maker")
    view = await filing.lending.submitted(maker)
    assert_problem(await filing.add(filing.lending.user("officer"), view["id"]), 403)
    assert_problem(await filing.add(filing.lending.user("maker", "officer"), view["id"]), 403)
    assert (await filing.add(maker, view["id"])).status_code == 201
    await filing.lending.act(filing.lending.intake, maker, view["id"], "withdrawal", 1)
    before = len(filing.files)
    assert_problem(await filing.add(maker, view["id"]), 409)
    assert len(filing.files) == before


async def test_an_application_has_a_bounded_number_of_documents(filing: Filing) -> None:
    maker = filing.lending.user("maker")
    application_id = await filing.draft(maker)
    first = await filing.add(maker, application_id, key="first-of-many")
    for _ in range(MOST_DOCUMENTS - 3):
        assert (await filing.add(maker, application_id)).status_code == 201
    answers = await asyncio.gather(*(filing.add(maker, application_id) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [201, 201, 409, 409, 409]
    assert "at most 50" in assert_problem(await filing.add(maker, application_id), 409)["detail"]
    again = await filing.add(maker, application_id, key="first-of-many")
    assert (again.status_code, again.content) == (201, first.content)


async def test_a_repeated_upload_makes_one_document(filing: Filing) -> None:
    maker = filing.lending.user("maker")
    application_id = await filing.draft(maker)
    first = await filing.add(maker, application_id, key="once")
    before = len(filing.files)
    again = await filing.add(maker, application_id, key="once")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert_problem(
        await filing.add(maker, application_id, PDF[:60] + b"\n" + PDF[60:], key="once"),
        422,
        "/header/Idempotency-Key",
    )
    assert_problem(
        await filing.add(maker, application_id, name="other", key="once"), 422, "/header/Idempotency-Key"
    )
    assert len(filing.files) == before
    assert len((await filing.get(maker, f"/applications/{application_id}/documents")).json()) == 1
    assert_problem(await filing.add(maker, application_id, headers={"Idempotency-Key": ""}), 400)


async def test_an_upload_is_repeated_after_a_withdrawal(filing: Filing) -> None:
    maker = filing.lending.user("maker")
    view = await filing.lending.submitted(maker)
    first = await filing.add(maker, view["id"], key="before")
    await filing.lending.act(filing.lending.intake, maker, view["id"], "withdrawal", 1)
    before = len(filing.files)
    again = await filing.add(maker, view["id"], key="before")
    assert (again.status_code, again.content) == (201, first.content)
    assert_problem(
        await filing.add(maker, view["id"], name="other", key="before"), 422, "/header/Idempotency-Key"
    )
    assert_problem(await filing.add(maker, view["id"], key="after"), 409)
    # The key is its caller's.
    assert_problem(await filing.add(filing.lending.user("maker"), view["id"], key="before"), 404)
    assert len(filing.files) == before


async def test_a_deleted_draft_takes_its_documents_along(filing: Filing) -> None:
    lending, maker = filing.lending, filing.lending.user("maker")
    body = {**await lending.content(maker, purpose="deleted"), "submit": False}
    draft = (await lending.post(maker, body, key="draft")).json()
    application_id = draft["id"]
    # What only names the draft in its text is not about it.
    other = {**body, "purpose": f'"id":"{application_id}"'}
    kept = await lending.post(maker, other, key="kept")
    document_id = (await filing.add(maker, application_id, name="deleted.pdf", key="document")).json()["id"]
    mine = await filing.draft(maker)
    my_document = (await filing.add(maker, mine, name="mine.pdf")).json()["id"]
    headers = {**maker.headers, "If-Match": '"1"'}
    deleted = await lending.intake.delete(f"/applications/{application_id}/draft", headers=headers)
    assert deleted.status_code == 204
    async with lending.lake.connect() as connection:
        for table, name in (("credit.document", "id"), ("intake.document_scan", "document_id")):
            query = f"SELECT count(*) FROM {table} WHERE {name} = $1"
            assert await connection.fetchval(query, uuid.UUID(document_id)) == 0
    assert await filing.worker(1).sweep(timedelta(0)) >= 1
    assert not [path for path in filing.files if document_id in str(path)]
    assert [path for path in filing.files if my_document in str(path)]

    for user in (maker, lending.user("auditor")):
        assert_problem(await filing.get(user, f"/applications/{application_id}/documents"), 404)
        assert_problem(await filing.get(user, f"/documents/{document_id}"), 404)
        assert_problem(await filing.get(user, f"/documents/{document_id}/content"), 404)
    assert_problem(await filing.add(maker, application_id, name="deleted.pdf", key="document"), 404)
    assert_problem(await filing.add(maker, application_id), 404)
    assert (await filing.get(maker, f"/documents/{my_document}/content")).content == PDF

    # A late repetition does not bring the draft back.
    assert "deleted" in assert_problem(await lending.post(maker, body, key="draft"), 409)["title"]
    assert_problem(await lending.post(maker, other, key="draft"), 422, "/header/Idempotency-Key")
    again = await lending.post(maker, other, key="kept")
    assert (again.status_code, again.content) == (201, kept.content)


REFUSED: list[tuple[str, str, bytes, str, int]] = [
    ("case 18 wrong type", "image/png", PDF, "x.pdf", 415),
    ("case 18 polyglot", "application/pdf", PDF + b"PK\x05\x06" + bytes(18), "x.pdf", 415),
    ("case 18 type that is not taken", "application/zip", b"PK\x03\x04", "x.zip", 415),
    ("case 18 page", "text/html", b"<html>", "x.html", 415),
    ("no type", "", PDF, "x.pdf", 415),
    ("nothing", "application/pdf", b"", "x.pdf", 422),
    ("case 18 one byte too many", "application/pdf", PDF[:60].ljust(LIMIT + 1 - len(PDF[60:])) + PDF[60:], "x", 413),
    ("case 18 NUL in the name", "application/pdf", PDF, "a\0b.pdf", 422),
    ("case 18 right to left", "application/pdf", PDF, "fdp.\u202eexe.pdf", 422),
    ("case 18 right to left mark", "application/pdf", PDF, "a\u200fb.pdf", 422),
    ("case 18 300 characters", "application/pdf", PDF, "x" * 300, 422),
    ("case 18 no name", "application/pdf", PDF, " ", 422),
]  # fmt: skip


@pytest.mark.parametrize(
    ("media_type", "content", "name", "status"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED]
)
async def test_what_is_refused_leaves_neither_row_nor_object(
    filing: Filing, media_type: str, content: bytes, name: str, status: int
) -> None:
    maker = filing.lending.user("maker")
    application_id = await filing.draft(maker)
    before = len(filing.files), len(await filing.rows())
    response = await filing.add(maker, application_id, content, media_type, name)
    assert_problem(response, status, *(["/query/file_name"] if status == 422 and content else []))
    # Without an announced length, the limit counts what arrives.
    if status == 413:

        async def chunked() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 4096):
                yield content[start : start + 4096]

        streamed = await filing.add(maker, application_id, chunked(), media_type, name)
        assert assert_problem(streamed, 413)["max_bytes"] == LIMIT
        whole = PDF[:60].ljust(LIMIT - len(PDF[60:])) + PDF[60:]
        assert (await filing.add(maker, application_id, whole)).status_code == 201
        return
    assert (len(filing.files), len(await filing.rows())) == before


async def test_a_refusal_reaches_who_is_still_sending(filing: Filing) -> None:
    # A connection that ends while the client sends shows most clients no answer.
    maker = filing.lending.user("maker")
    application_id = await filing.draft(maker)
    taken = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(10):
            taken += 1
            yield b"MZ" * 2500

    for headers, media_type, status, read in (
        ({}, "application/pdf", 415, 10),
        ({}, "application/zip", 415, 10),
        ({"Idempotency-Key": ""}, "application/pdf", 400, 10),
        ({"Expect": "100-continue"}, "application/zip", 415, 0),
        ({"Authorization": "Bearer nothing"}, "application/pdf", 401, 0),
    ):
        taken = 0
        refused = await filing.add(maker, application_id, content(), media_type, headers=headers)
        assert_problem(refused, status)
        assert taken == read, (headers, media_type)


async def test_case_18_a_name_is_data_and_never_a_path(filing: Filing) -> None:
    maker = filing.lending.user("maker")
    application_id = await filing.draft(maker)
    for name, stored_as in (
        ("../../etc/passwd", '"_.._etc_passwd.pdf"'),
        ("/etc/cron.d/x", '"_etc_cron.d_x.pdf"'),
        ("C:\\boot.ini", '"C__boot.ini.pdf"'),
        ("invoice.exe", '"invoice.exe.pdf"'),
    ):
        seen = (await filing.add(maker, application_id, name=name)).json()
        assert seen["file_name"] == name
        assert [path.name for path in filing.files].count(seen["id"]) == 1
        file = await filing.get(maker, f"/documents/{seen['id']}/content")
        assert stored_as in file.headers["content-disposition"]


async def test_case_18_a_killed_upload_leaves_no_row_and_its_object_is_swept(filing: Filing) -> None:
    maker = filing.lending.user("maker")
    application_id = await filing.draft(maker)
    rows, files = len(await filing.rows()), set(filing.files)

    assert await filing.cut_off(maker, application_id) == 400
    assert (len(await filing.rows()), set(filing.files)) == (rows, files)

    # A process that was killed: one object is half written, another has got its place but no row.
    kept = (await filing.add(maker, application_id)).json()["id"]
    store, worker = open_objects(filing.folder.as_uri(), OBJECT_KEY), filing.worker(1)
    orphan = f"documents/{uuid.uuid4()}"

    async def content() -> AsyncIterator[bytes]:
        yield PDF

    await store.put(orphan, content())
    half = filing.folder / "unfinished" / "0123"
    half.write_bytes(b"half")
    foreign = filing.folder / "documents" / "re" / "core"
    foreign.parent.mkdir()
    foreign.write_bytes(b"another program's")
    assert await worker.sweep() == 0
    assert await worker.sweep(timedelta(seconds=-60)) == 2
    assert not half.exists()
    assert foreign.exists()
    assert orphan.rpartition("/")[2] not in {path.name for path in filing.files}
    assert (await filing.get(maker, f"/documents/{kept}/content")).content == PDF


async def test_without_a_store_documents_are_unavailable(lake: Database, application: Database) -> None:
    nothing = {"object_store_url": None, "object_store_keys": None}
    async with Lending.over(lake, application, **nothing) as lending:
        maker = lending.user("maker")
        view = await lending.submitted(maker)
        answer = await lending.intake.post(
            f"/applications/{view['id']}/documents",
            params={"kind": "income", "file_name": "x"},
            content=PDF,
            headers={**maker.headers, "Content-Type": "application/pdf", "Idempotency-Key": "k"},
        )
        assert_problem(answer, 503)
