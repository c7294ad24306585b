"""Programs of the distribution: unpacked from their packages where they are not installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from services.platform.account import is_root
from services.platform.errors import NotAvailableError


def unpack(program: str, packages: Sequence[str], folder: Path) -> None:
    """Download packages and unpack them into `folder`; needs no root and, unlike an installation, starts no service.

    Args:
        program: what messages call it, which is also the package to install by hand.
        packages: the packages with the program and with those libraries that not every machine has. A name that ends
            with `*` is the newest of the packages that begin so.
        folder: where to; it is there as a whole or not at all.

    Raises:
        NotAvailableError: they cannot be downloaded.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NotAvailableError(f"there is no {program} on PATH, and no apt-get to fetch its package with")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        done = _download(packages, draft)
        if done.returncode and is_root():
            _run("apt-get", "update", cwd=draft)
            done = _download(packages, draft)
        if done.returncode:
            raise NotAvailableError(
                f"there is no {program} on PATH, and its package cannot be fetched ({done.stderr.strip()}); "
                f"install it (as root: apt-get update && apt-get install {packages[0]}) and start again"
            )
        for package in sorted(Path(draft).glob("*.deb")):
            _run("dpkg-deb", "-x", package.name, "unpacked", cwd=draft)
        (Path(draft) / "unpacked").rename(folder)


def _download(packages: Sequence[str], folder: str) -> subprocess.CompletedProcess[str]:
    return _run("apt-get", "download", *(_newest(name) for name in packages), cwd=folder)


def _newest(package: str) -> str:
    """The name of a package, with a `*` at its end replaced by the highest number that there is."""
    if not package.endswith("*"):
        return package
    start = package.removesuffix("*")
    listed = _run("apt-cache", "pkgnames", start, cwd="/").stdout.split()
    numbers = [int(name.removeprefix(start)) for name in listed if name.removeprefix(start).isdecimal()]
    return f"{start}{max(numbers)}" if numbers else start


def _run(*command: str, cwd: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
