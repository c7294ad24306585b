import contextlib
import io
import json
import logging
from contextlib import redirect_stdout

import pytest

from services.chassis.telemetry.logging import configure_logging, get_logger
from services.chassis.telemetry.redaction import REDACTED, redact, scrub
from services.chassis.testing import SpanRecorder

EMAIL = "erika.mustermann@example.org"
NATIONAL_ID = "T220001293"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def fail() -> None:
    raise ValueError(f"duplicate national_id={NATIONAL_ID}")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"mail to {EMAIL} failed", EMAIL),
        (f"Authorization: Bearer {JWT}", JWT),
        (f"token was {JWT}.", JWT),
        ("bearer abcdef0123456789 refused", "abcdef0123456789"),
        ("postgresql+asyncpg://intake:hunter2@127.0.0.1/lake", "hunter2"),
        (f"DETAIL:  Key (national_id)=({NATIONAL_ID}) already exists.", NATIONAL_ID),
        (f"DETAIL:  Failing row contains (1, {NATIONAL_ID}, Erika).", NATIONAL_ID),
        (f"[SQL: INSERT]\n[parameters: ('{NATIONAL_ID}', 'Erika')]\n(Background)", NATIONAL_ID),
        (f"Input should be valid [type=x, input_value='{NATIONAL_ID}', input_type=str]", NATIONAL_ID),
        (f"{{'national_id': '{NATIONAL_ID}', 'amount': 3}}", NATIONAL_ID),
        (f'{{"full_name": "Erika", "national_id":"{NATIONAL_ID}"}}', "Erika"),
        (f"GET /parties?national_id={NATIONAL_ID}&page=1", NATIONAL_ID),
        ("new_password=correct-horse", "correct-horse"),
    ],
)
def test_secrets_leave_a_text(text: str, secret: str) -> None:
    cleaned = scrub(text)

    assert secret not in cleaned
    assert REDACTED in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "POST /applications/{id}",
        "127.0.0.1:17110",
        "SELECT id FROM credit.party WHERE id = $1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "urn:creditmesh:problem:not-found",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    "key", ["full_name", "borrower.full_name", "national_id", "email", "Authorization", "db_password"]
)
def test_values_under_sensitive_keys_are_redacted_whatever_they_are(key: str) -> None:
    assert redact("body", {"inner": [{key: "plain"}], "amount": 3}) == {
        "inner": [{key: REDACTED}],
        "amount": 3,
    }


def test_planted_values_appear_in_no_log_line(recorder: SpanRecorder) -> None:
    output = io.StringIO()
    configure_logging("test")
    with redirect_stdout(output), recorder.telemetry.tracer.start_as_current_span("work") as span:
        get_logger("services.test").info(
            "party stored", full_name="Erika", contact=EMAIL, party={"email": EMAIL}
        )
        try:
            fail()
        except ValueError:
            get_logger("services.test").exception("failed with %s", JWT)
        logging.getLogger("asyncpg").warning("login of %s refused", EMAIL)

    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line["logger"] for line in lines] == ["services.test", "services.test", "asyncpg"]
    assert {line["trace_id"] for line in lines} == {f"{span.get_span_context().trace_id:032x}"}
    assert {line["service"] for line in lines} == {"test"}
    assert "ValueError" in lines[1]["exception"]
    for secret in ("Erika", EMAIL, NATIONAL_ID, JWT):
        assert secret not in output.getvalue()


def test_planted_values_appear_in_no_exported_span(recorder: SpanRecorder) -> None:
    tracer = recorder.telemetry.tracer
    with contextlib.suppress(ValueError), tracer.start_as_current_span("work") as span:
        span.set_attribute("full_name", "Erika")
        span.set_attribute("url.full", f"http://search/parties?q={NATIONAL_ID}")
        span.set_attribute("contacts", [EMAIL])
        span.add_event("mailed", {"to": EMAIL})
        fail()

    (exported,) = recorder.spans
    assert exported.attributes is not None
    assert [event.name for event in exported.events] == ["mailed", "exception"]
    assert exported.attributes["url.full"] == "http://search/parties"
    for secret in ("Erika", EMAIL, NATIONAL_ID):
        assert secret not in exported.to_json()
