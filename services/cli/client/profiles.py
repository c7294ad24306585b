"""Profiles: where the services of a platform are. Several platforms, several profiles."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import typer

from services.chassis.files import write_private
from services.cli.client.errors import WrongUsage

FOLDER_VARIABLE = "CREDITMESH_CONFIG"
SERVICES = ("auth", "intake", "approval", "search")


@dataclass(frozen=True, slots=True)
class Profile:
    """The base URLs of one platform's services; `authority` is a PEM file that signs their certificates."""

    auth: str = "http://127.0.0.1:17101"
    intake: str = "http://127.0.0.1:17102"
    approval: str = "http://127.0.0.1:17103"
    search: str = "http://127.0.0.1:17104"
    authority: str | None = None

    def url(self, service: str) -> str:
        """The base URL of a service."""
        url: str = getattr(self, service)
        return url


LOCAL = "local"
"""The profile of a platform on this machine, which needs no file."""


def folder() -> Path:
    """The folder of profiles and sessions: CREDITMESH_CONFIG, or where this system keeps settings."""
    return Path(os.environ.get(FOLDER_VARIABLE) or typer.get_app_dir("creditmesh"))


def read() -> dict[str, Profile]:
    """Every profile by name.

    Raises:
        WrongUsage: the file is none of ours.
    """
    path = folder() / "profiles.json"
    try:
        stored = json.loads(path.read_text()) if path.exists() else {}
        return {LOCAL: Profile(), **{str(name): Profile(**urls) for name, urls in stored.items()}}
    except (ValueError, TypeError, AttributeError) as error:
        raise WrongUsage(f"{path} cannot be read ({error}); correct it, or remove it.") from None


def named(name: str) -> Profile:
    """One profile.

    Raises:
        WrongUsage: there is none of this name.
    """
    known = read()
    if name not in known:
        raise WrongUsage(
            f"There is no profile {name!r}; there are: {', '.join(known)}. Add it with `creditmesh profiles set`."
        )
    return known[name]


def write(name: str, profile: Profile | None) -> None:
    """Keep a profile, or remove it.

    Raises:
        WrongUsage: a URL is none, or the profile to remove is not there.
    """
    if profile is not None:
        for service in SERVICES:
            parts = urlsplit(profile.url(service))
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
                raise WrongUsage(f"--{service} must be a URL such as https://{service}.example.com")
            if parts.username or parts.password:
                raise WrongUsage(f"--{service} must not contain a password; log in with `creditmesh login`.")
    known = read()
    if profile is None:
        if name not in known:
            raise WrongUsage(f"There is no profile {name!r}.")
        del known[name]
    else:
        known[name] = profile
    text = json.dumps({one: asdict(urls) for one, urls in known.items()}, indent=2)
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder() / "profiles.json", text)
