"""The jars that are used are those of the committed list."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.platform import java


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder of two jars, and a list of exactly these."""
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"a")
    (folder / "b.jar").write_bytes(b"b")
    lines = [f"{digest}  {file}" for file, digest in java.digests("x-1", folder).items()]
    lines.append(f"{'0' * 64}  other-2/c.jar")
    (tmp_path / "jars.lock").write_text("\n".join(lines))
    return folder


def test_the_listed_jars_are_right(listed: Path) -> None:
    assert java.wrong("x-1", listed, listed.with_name("jars.lock")) == []


def test_a_changed_a_missing_and_an_unlisted_jar_are_wrong(listed: Path) -> None:
    (listed / "a.jar").write_bytes(b"changed")
    (listed / "b.jar").rename(listed / "c.jar")
    assert java.wrong("x-1", listed, listed.with_name("jars.lock")) == ["x-1/a.jar", "x-1/b.jar", "x-1/c.jar"]


def test_every_set_of_jars_is_listed() -> None:
    files = [line.split()[1] for line in java.LOCK.read_text().splitlines()]
    assert {file.partition("/")[0] for file in files} == java.JARS.keys()
    assert "kafka-4.3.1/kafka-clients-4.3.1.jar" in files
