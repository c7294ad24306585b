"""The state folder: its layout, its secrets, and the lock against two concurrent commands."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from services.chassis.files import write_private
from services.platform.errors import PlatformError

OWNER = "creditmesh"
PRIVATE = 0o077
"""The umask of whatever the platform starts."""
LOGINS = (
    "auth",
    "intake",
    "approval",
    "search",
    "dashboard",
    "lineage",
    "relay",
    "sink",
    "loader",
    "verifier",
    "importer",
    "transformer",
    "analyst",
    "reporting",
    "airflow",
)

KAFKA_LOGINS = ("relay", "sink", "loader", "intake", "partner")
PARTNER = UUID("0197a2a0-0000-7000-8000-00000000c11e")
"""The client that the login `partner` sends records for."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(frozen=True, slots=True)
class Home:
    """The state folder of one platform; removing it removes the platform."""

    root: Path

    @property
    def data(self) -> Path:
        """What the stores keep."""
        return self.root / "data"

    @property
    def steps(self) -> Path:
        """Which steps were done on the databases, one file a step."""
        return self.data / "steps"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.root / "logs"

    @property
    def lineage(self) -> Path:
        """OpenLineage events, one file a producer, where no server takes them."""
        return self.root / "lineage"

    @property
    def run(self) -> Path:
        """Generated configuration, sockets and locks."""
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        """Generated passwords and keys; for the owner's eyes."""
        return self.root / "secrets"

    def create(self) -> None:
        """Make the folders that are missing, and close those that are there."""
        passage = 0o711 if os.geteuid() == 0 else 0o700
        for folder, mode in (
            # Root's PostgreSQL is another account, which must get through to its own folder, and see nothing else.
            (self.root, passage),
            (self.data, passage),
            (self.steps, 0o700),
            (self.logs, 0o700),
            (self.lineage, 0o700),
            (self.run, 0o700),
            (self.secrets, 0o700),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        for store in self.data.iterdir():
            # Made before they were private; PostgreSQL's is private by itself, and may be another account's.
            if store.is_dir() and store.stat().st_uid == os.geteuid():
                store.chmod(0o700)

    def forget_steps(self) -> None:
        """Have every step done again: the databases are new, or somebody asks for it."""
        for stamp in self.steps.glob("*"):
            stamp.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the platform for one command.

        Raises:
            PlatformError: another command is changing this platform.
        """
        self.create()
        with open(self.run / "platform.lock", "w", opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PlatformError(
                    f"another command is starting or stopping the platform in {self.root}; wait for it to end"
                ) from None
            yield

    def database_password(self, login: str) -> str:
        """The password of a database login, generated on first use."""
        return self._password("databases.json", login, LOGINS)

    def _password(self, file: str, login: str, logins: tuple[str, ...]) -> str:
        path = self.secrets / file
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        missing = {OWNER, *logins} - known.keys()
        if missing:
            known.update({name: secrets.token_urlsafe(24) for name in sorted(missing)})
            write_private(path, json.dumps(known, indent=2))
        return known[login]

    def kafka_password(self, login: str) -> str:
        """The password of a login at Kafka, generated on first use."""
        return self._password("kafka.json", login, KAFKA_LOGINS)

    def auth_key_encryption_key(self) -> str:
        """The key that encrypts auth's signing keys."""
        return self.fernet_key("auth_key_encryption_key")

    def fernet_key(self, name: str) -> str:
        """A key of 32 random bytes in URL-safe base64, made on first use."""
        return self._kept(name, lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())

    def secret(self, name: str) -> str:
        """A generated password, made on first use."""
        return self._kept(name, lambda: secrets.token_urlsafe(32))

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        path = self.secrets / name
        if not path.exists():
            write_private(path, make())
        return path.read_text()
