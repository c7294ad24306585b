"""PostgreSQL refuses to run as root: runs a command of root with an unprivileged account."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from pathlib import Path

from services.platform.errors import PlatformError

ACCOUNT = "nobody"
# The kernel's numbers of the capabilities to enter closed folders, the weaker first.
CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}


def is_root() -> bool:
    """Whether this process runs as root."""
    return os.geteuid() == 0


def own(path: Path) -> None:
    """Make the account that runs PostgreSQL the owner of a file or folder; does nothing unless root."""
    if is_root():
        entry = pwd.getpwnam(ACCOUNT)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def unprivileged(command: tuple[str, ...], *paths: Path) -> tuple[str, ...]:
    """The command for the unprivileged account; unchanged unless root.

    A checkout is often in a folder that is closed to that account (under /root, or in a folder of mktemp). If
    one of `paths` is, the command gets only the capability to pass through folders.

    Raises:
        PlatformError: there is no setpriv, or no capability to give.
    """
    if not is_root():
        return command
    if shutil.which("setpriv") is None:
        raise PlatformError(
            "PostgreSQL does not run as root, and setpriv (util-linux) is not installed; start as a user"
        )
    entry = pwd.getpwnam(ACCOUNT)
    wrapper = [
        "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--clear-groups",
        "--no-new-privs",
    ]
    if all(_open_to_all(path) for path in paths) and Path(command[0]).stat().st_mode & stat.S_IXOTH:
        return (*wrapper, "--bounding-set=-all", "--inh-caps=-all", *command)
    only = f"-all,+{_capability(paths, Path(command[0]))}"
    # access(2) ignores the capabilities of an unprivileged account unless this bit is set; initdb calls it.
    return (
        *wrapper,
        "--securebits=+no_setuid_fixup",
        *(f"--{kind}={only}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
        *command,
    )


def _open_to_all(path: Path) -> bool:
    """Whether every account may pass through the folders above `path`."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _capability(paths: tuple[Path, ...], binary: Path) -> str:
    # The weaker capability is enough unless the umask also removed the right to execute the binary.
    names = (
        CAPABILITIES
        if binary.stat().st_mode & stat.S_IXOTH
        else {"dac_override": CAPABILITIES["dac_override"]}
    )
    status = Path("/proc/self/status").read_text()
    bounding = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:")), 16)
    for name, number in names.items():
        if bounding >> number & 1:
            return name
    raise PlatformError(
        f"PostgreSQL does not run as root, and the account {ACCOUNT!r} may not enter one of "
        f"{', '.join(str(path) for path in paths)}; start as a user, or move the checkout where all may enter"
    )
