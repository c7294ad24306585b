"""The jars that are used are those of the committed list."""

from __future__ import annotations

import hashlib
from pathlib import Path

from services.platform.components import java


def test_the_list_is_read_by_name(tmp_path: Path) -> None:
    lock_file = tmp_path / "jars.lock"
    lock_file.write_text("aa  x-1/a.jar  g:a:1\nbb  y-2/b.jar  g:b:2:exec\n")
    assert java.locked("y-2", lock_file) == [java.Jar("bb", "y-2", "b.jar", "g:b:2:exec")]


def test_a_jar_is_known_by_its_content(tmp_path: Path) -> None:
    jar = java.Jar(hashlib.sha256(b"right").hexdigest(), "x-1", "a.jar", "g:a:1")
    path = tmp_path / "a.jar"
    assert not jar.is_in(path)
    path.write_bytes(b"cut off")
    assert not jar.is_in(path)
    path.write_bytes(b"right")
    assert jar.is_in(path)


def test_everything_wanted_is_listed() -> None:
    coordinates = {name: [jar.coordinate for jar in java.locked(name)] for name in java.WANTED}
    assert "org.apache.kafka:kafka-clients:4.3.1" in coordinates["kafka-4.3.1"]
    assert coordinates["zipkin-3.6.1"] == ["io.zipkin:zipkin-server:3.6.1:exec"]
