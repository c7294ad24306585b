"""A browser for tests and pictures: the one that is named or installed, or else Debian's, unpacked without root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from services.platform.components.debian import unpack
from services.platform.errors import NotAvailableError

VARIABLE = "CREDITMESH_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""What keeps it from calling its maker."""


def chromium(tools: Path) -> tuple[Path, dict[str, str]]:
    """The browser's program, and the environment that it needs beside the usual one.

    Raises:
        NotAvailableError: none is installed, and its packages cannot be downloaded.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise NotAvailableError(f"{VARIABLE} names {named}, which is no file")
        return Path(named), {}
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    if installed is not None:
        return Path(installed), {}
    folder = tools / "chromium"
    if not folder.exists():
        unpack("chromium", _packages(), folder)
    libraries = sorted({str(file.parent) for file in (folder / "usr" / "lib").rglob("*.so*")})
    return folder / "usr" / "lib" / "chromium" / "chromium", {"LD_LIBRARY_PATH": ":".join(libraries)}


def _packages() -> list[str]:
    """The package and what it needs of what is not installed; the package itself where that cannot be told."""
    if shutil.which("apt-get") is None:
        return ["chromium"]
    command = ("apt-get", "--simulate", "--no-install-recommends", "install", "chromium", "fonts-dejavu-core")
    planned = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    names = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    return ["chromium", *(name for name in names if name != "chromium")]
