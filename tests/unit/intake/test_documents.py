"""Documents without a server: their types by content, their scans, the answers of a scanner, and their names."""

from __future__ import annotations

import hashlib
import io
import uuid
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.chassis.web.http_server import BODY_SECONDS
from services.chassis.web.output.names import disposition
from services.chassis.web.problems import ContentTooLarge
from services.intake.documents.content import TYPES, Content, TypeRefused
from services.intake.documents.domain import FOLDER, Scan, ScanState, takes_documents
from services.intake.documents.errors import DocumentEmpty
from services.intake.documents.repository import select_known
from services.intake.documents.routes import add
from services.intake.documents.scanners import CHUNK_BYTES, Clamd, ScanFailed, open_scanner
from services.intake.settings import IntakeSettings
from services.lake.domain.states import State
from tests.integration.clamd import INFECTED, FakeClamd
from tests.integration.intake.files import JPEG, PDF, PNG, TIFF

NOW = datetime(2026, 1, 31, tzinfo=UTC)
OF_TYPE = {"application/pdf": PDF, "image/jpeg": JPEG, "image/png": PNG, "image/tiff": TIFF}


async def pieces(content: bytes, size: int = 700) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def checked(media_type: str, content: bytes, max_bytes: int = 1 << 20) -> Content:
    passed = Content(media_type, max_bytes)
    out = b"".join([piece async for piece in passed.checked(pieces(content))])
    assert out == content
    return passed


@pytest.mark.parametrize("media_type", TYPES)
async def test_each_type_is_known_by_its_content(media_type: str) -> None:
    for content in (OF_TYPE[media_type], OF_TYPE[media_type][:60] + bytes(9000) + OF_TYPE[media_type][60:]):
        passed = await checked(media_type, content)
        assert (passed.size, passed.sha256) == (len(content), hashlib.sha256(content).digest())


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("actual", TYPES)
async def test_case_18_another_type_than_declared_is_refused(media_type: str, actual: str) -> None:
    if media_type != actual:
        with pytest.raises(TypeRefused, match=f"is not {media_type}"):
            await checked(media_type, OF_TYPE[actual])


def archive() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr("evil.js", "alert(1)")
    return written.getvalue()


def archive_with_comment(end: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr("evil.js", "alert(1)")
        made.comment = end
    return written.getvalue()


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/pdf", PDF + archive()),
        ("application/pdf", PDF + archive_with_comment(b"\n%%EOF\n")),
        ("application/pdf", b"GIF89a" + PDF),
        ("application/pdf", b"\xff\xd8\xff\xe0" + PDF),
        ("application/pdf", PDF[:20] + b"<script>alert(1)</script>" + PDF[20:]),
        ("application/pdf", PDF + b"<html>"),
        ("application/pdf", PDF[:-8]),
        ("image/jpeg", JPEG[:20] + PDF + JPEG[20:]),
        ("image/jpeg", JPEG + archive()),
        ("image/jpeg", JPEG[:20] + archive_with_comment(b"") + JPEG[-2:]),
        ("image/jpeg", JPEG + b"MZ program"),
        ("image/png", PNG + b"<?php system($_GET[0]); ?>"),
        ("image/png", PNG[:33] + b"<!DOCTYPE html><svg onload=alert(1)>" + PNG[33:]),
        ("image/png", PNG[:257].ljust(257, b"\0") + b"ustar\x0000" + PNG[33:]),
        ("image/tiff", TIFF + archive()),
        ("image/tiff", TIFF[:100] + PDF),
        ("application/pdf", b"MZ" + bytes(200)),
        ("application/pdf", b"\x7fELF" + bytes(200)),
        ("application/pdf", archive()),
        ("application/pdf", b"plain text that nothing knows"),
        ("image/png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("application/pdf", b"\0"),
    ],
)  # fmt: skip
async def test_case_18_a_file_of_two_types_or_of_none_is_refused(media_type: str, content: bytes) -> None:
    with pytest.raises(TypeRefused):
        await checked(media_type, content)


async def test_a_wrong_type_is_refused_before_the_rest_arrives() -> None:
    passed = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal passed
        while True:
            passed += 1
            yield b"MZ" * 2048

    with pytest.raises(TypeRefused):
        async for _ in Content("application/pdf", 1 << 30).checked(endless()):
            pass
    assert passed == 1


async def test_nothing_and_too_much_are_refused() -> None:
    with pytest.raises(DocumentEmpty):
        await checked("application/pdf", b"")
    assert (await checked("application/pdf", PDF, len(PDF))).size == len(PDF)
    with pytest.raises(ContentTooLarge) as refused:
        await checked("application/pdf", PDF, len(PDF) - 1)
    assert refused.value.extensions == {"max_bytes": len(PDF) - 1}


def test_a_scan_is_repeated_later_each_time_and_never_clean_without_a_look() -> None:
    scan, waits = Scan.due("clamd", NOW), []
    assert (scan.state, scan.next_attempt_at) == (ScanState.WAITING, NOW)
    for attempt in range(1, 12):
        scan = Scan(ScanState.WAITING, "clamd", attempts=attempt).failed("clamd", NOW)
        assert scan.state is ScanState.FAILED
        assert scan.next_attempt_at is not None
        waits.append(scan.next_attempt_at - NOW)
    assert waits[:3] == [timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20)]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(minutes=10)
    assert (clean := scan.ended("clamd", None, NOW)).state is ScanState.CLEAN
    assert (clean.next_attempt_at, clean.scanned_at) == (None, NOW)
    assert (found := scan.ended("clamd", "", NOW)).state is ScanState.INFECTED
    assert found.next_attempt_at is None
    unseen = Scan.due("none", NOW)
    assert (unseen.state, unseen.scanner, unseen.scanned_at) == (ScanState.CLEAN, "none", None)


def test_an_application_that_is_over_takes_no_documents() -> None:
    assert {state for state in State if not takes_documents(state)} == {
        State.REJECTED,
        State.WITHDRAWN,
        State.EXPIRED,
        State.BOOKED,
    }


@asynccontextmanager
async def serving(answer: Callable[[bytes], bytes] | None = None) -> AsyncIterator[tuple[FakeClamd, Clamd]]:
    async with FakeClamd.running(answer) as fake:
        yield fake, Clamd(("127.0.0.1", fake.port), seconds=2)


async def test_clamd_says_clean_or_what_it_found() -> None:
    async with serving() as (fake, scanner):
        content = bytes(range(256)) * 1024
        assert await scanner.scan(pieces(content, CHUNK_BYTES * 2 + 5)) is None
        assert fake.scanned == [content]
        assert await scanner.scan(pieces(PDF + INFECTED)) == "Creditmesh.Test"


async def test_clamd_answers_over_a_socket_of_the_machine(tmp_path: Path) -> None:
    async with FakeClamd.running(path=tmp_path / "clamd.sock"):
        scanner = open_scanner(f"clamd://{tmp_path}/clamd.sock")
        assert scanner is not None
        assert await scanner.scan(pieces(INFECTED)) == "Creditmesh.Test"


@pytest.mark.parametrize(
    "answer",
    [
        b"INSTREAM size limit exceeded. ERROR\0",
        b"stream: Can't allocate memory ERROR\0",
        b"",
        b"stream: OK",
        b"stream: O",
        b"OK\0",
        b"stream: OK\nstream: Evil FOUND\0",
        b"stream: \xff\xfe\0",
        b"x" * 5000,
        b"UNKNOWN COMMAND\0",
    ],
)
async def test_what_clamd_does_not_say_clearly_is_a_failure(answer: bytes) -> None:
    async with serving(lambda _: answer) as (_, scanner):
        with pytest.raises(ScanFailed):
            await scanner.scan(pieces(PDF))


async def test_a_clamd_that_is_gone_or_silent_is_a_failure() -> None:
    with pytest.raises(ScanFailed, match="ConnectionRefusedError"):
        await Clamd(("127.0.0.1", 1)).scan(pieces(PDF))

    async with serving() as (fake, _):
        fake.hesitates = 0.5
        with pytest.raises(ScanFailed, match="TimeoutError"):
            await Clamd(("127.0.0.1", fake.port), seconds=0.1).scan(pieces(PDF))


def test_a_scanner_is_named_by_a_url() -> None:
    assert open_scanner("none") is None
    for right in ("clamd://127.0.0.1:3310", "clamd://[::1]:3310", "clamd:///run/clamd.sock"):
        assert open_scanner(right) is not None
    for wrong in ("", "clamd", "clamd://", "clamd://host", "http://host:1", "clamd://host:1/x", "clamd:run"):
        with pytest.raises(ValueError, match="a scanner is"):
            open_scanner(wrong)


def test_a_store_and_its_keys_are_set_together() -> None:
    common = {"http_port": 0, "auth_jwks_url": "http://x/y", "lake_url": "postgresql+asyncpg://a@b/c"}
    common["person_tag_key"] = "k" * 32
    with pytest.raises(ValueError, match="OBJECT_STORE_KEYS"):
        IntakeSettings(**common, object_store_url="file:///x")
    with pytest.raises(ValueError, match="32 bytes"):
        IntakeSettings(**common, object_store_url="file:///x", object_store_keys="short")
    assert IntakeSettings(**common).objects is None


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("pay slip.pdf", 'attachment; filename="pay slip.pdf"'),
        ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        ("..\\..\\boot.ini", 'attachment; filename="_.._boot.ini"'),
        (
            'a"; filename="b.exe',
            "attachment; filename=\"a__ filename__b.exe\"; filename*=UTF-8''a_%3B%20filename%3D_b.exe",
        ),
        ("hợp đồng.pdf", "attachment; filename=\"h_p __ng.pdf\"; filename*=UTF-8''h%E1%BB%A3p%20%C4%91%E1%BB%93ng.pdf"),
        (
            "a\r\nSet-Cookie: x=1",
            "attachment; filename=\"a__Set-Cookie_ x_1\"; filename*=UTF-8''a__Set-Cookie_%20x%3D1",
        ),
        ("...", 'attachment; filename="file"'),
        (".profile", 'attachment; filename="profile"'),
    ],
)  # fmt: skip
def test_case_18_the_name_of_a_download_is_no_path(name: str, header: str) -> None:
    assert disposition(name) == header


def test_objects_are_looked_up_by_the_id_that_ends_their_key() -> None:
    some = uuid.uuid4()
    assert FOLDER.id_of(FOLDER.key(some)) == some
    for key in (
        "documents/core",
        f"documents/{some.hex}",
        f"others/{some}",
        f"documents/{some}/{some}",
        str(some),
        "",
    ):
        assert FOLDER.id_of(key) is None
    # The primary key: no index has the objects' keys.
    where = str(select_known([some]).whereclause)
    assert "document.id IN" in where
    assert "object_key" not in where


def test_what_is_said_of_the_time_for_an_upload_is_the_limit_of_the_server() -> None:
    guide = Path(__file__).parents[3] / "docs" / "guides" / "credit-domain.md"
    for text in (add.__doc__ or "", guide.read_text()):
        said = " ".join(text.split())
        assert f"arrive within {BODY_SECONDS:.0f} seconds, whatever" in said
        assert "slow line needs" not in said
