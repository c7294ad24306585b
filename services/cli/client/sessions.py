"""Where the tokens of a session are kept: in the keyring of the system, or in a file that nobody else reads."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keyring
from keyring.errors import KeyringError

from services.chassis.files import write_private
from services.cli.client import profiles

_SERVICE = "creditmesh"
# An access token that ends this soon could end on its way.
_EARLY_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a session; `expires_at` is the access token's end, seconds since the epoch."""

    username: str
    access: str
    refresh: str
    expires_at: float

    @property
    def is_fresh(self) -> bool:
        """Whether the access token can still be used."""
        return time.time() < self.expires_at - _EARLY_SECONDS


class SessionStore:
    """Keeps the tokens of one profile."""

    def __init__(self, profile: str) -> None:
        """`profile`: its name."""
        self._profile = profile
        self._folder = profiles.folder() / "sessions"
        # The names of profiles are people's: not every one can be the name of a file.
        self._file = self._folder / f"{profile.encode().hex()}.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one command at a time renew the tokens: a refresh token is used once."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._file.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read(self) -> Tokens | None:
        """The tokens; None when nobody is logged in."""
        texts: list[str | None] = [self._file.read_text() if self._file.exists() else None]
        with suppress(KeyringError):
            texts.append(keyring.get_password(_SERVICE, self._profile))
        found = [tokens for text in texts if text is not None and (tokens := _parsed(text)) is not None]
        # A keyring that was locked for a while has older ones than the file, which are used up.
        return max(found, key=lambda tokens: tokens.expires_at, default=None)

    def write(self, tokens: Tokens) -> Path | None:
        """Keep the tokens; the file that they are in, None for the keyring."""
        text = json.dumps(asdict(tokens))
        try:
            keyring.set_password(_SERVICE, self._profile, text)
        except KeyringError:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self._file, text)
            return self._file
        self._file.unlink(missing_ok=True)
        return None

    def remove(self) -> None:
        """Forget the tokens."""
        with suppress(KeyringError):
            keyring.delete_password(_SERVICE, self._profile)
        self._file.unlink(missing_ok=True)


def _parsed(text: str) -> Tokens | None:
    with suppress(ValueError, TypeError):
        members: dict[str, Any] = json.loads(text)
        return Tokens(**members)
    return None
