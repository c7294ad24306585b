"""What is kept of a record must be something that PostgreSQL can hold, whatever stands in the record."""

import orjson
import pytest

from services.replicator.sink.quarantine import storable_headers
from tests.unit.replicator.records import record


@pytest.mark.parametrize("text", [b"\x00", rb"\u0000", rb"\\u0000", b"\\\x00", b"\xff\x00"])
def test_no_header_makes_a_document_that_jsonb_refuses(text: bytes) -> None:
    document = orjson.dumps(storable_headers(record(spoiled={"odd": text})))
    kept = orjson.loads(document)["odd"]
    assert "\x00" not in kept


def test_a_header_of_text_is_kept_as_it_is() -> None:
    assert storable_headers(record(spoiled={"odd": 'é \\ "'.encode()}))["odd"] == 'é \\ "'
