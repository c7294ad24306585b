"""Kafka's storage can be formatted whatever identity was drawn."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from services.platform.platform import Platform
from tests.conftest import beside_others

BEGINS_WITH_A_DASH = uuid.UUID(bytes=b"\xf8" * 16)


async def test_an_identity_may_begin_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: BEGINS_WITH_A_DASH)
    platform = Platform(beside_others(tmp_path))
    with platform.home.locked():
        await platform.components["kafka"].prepare(lambda _what: None)
    assert "cluster.id=-" in (platform.home.data / "kafka" / "meta.properties").read_text()
