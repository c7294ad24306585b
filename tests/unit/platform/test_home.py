"""The state folder keeps secrets secret, and one command at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from services.platform.errors import PlatformError
from services.platform.home import LOGINS, OWNER, Home
from services.platform.platform import Platform
from services.platform.settings import PlatformSettings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "var")
    home.create()
    return home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_for_their_owner_alone(home: Home) -> None:
    home.database_password(OWNER)
    home.auth_key_encryption_key()
    assert mode(home.secrets) == 0o700
    assert {mode(path) for path in home.secrets.iterdir()} == {0o600}


def test_passwords_are_made_once_and_differ(home: Home) -> None:
    passwords = {login: home.database_password(login) for login in (OWNER, *LOGINS)}
    assert len(set(passwords.values())) == len(LOGINS) + 1
    assert {login: Home(home.root).database_password(login) for login in passwords} == passwords


def test_the_encryption_key_is_one_that_fernet_takes(home: Home) -> None:
    key = home.auth_key_encryption_key()
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"
    assert home.auth_key_encryption_key() == key


def test_a_second_command_is_told_to_wait(home: Home) -> None:
    with home.locked(), pytest.raises(PlatformError, match="another command"), Home(home.root).locked():
        pass


def test_looking_at_a_platform_that_never_ran_makes_nothing(tmp_path: Path) -> None:
    platform = Platform(PlatformSettings(home=tmp_path / "var"))
    assert platform.supervisor.pid is None
    assert platform.supervisor.orphans() == []
    assert not (tmp_path / "var").exists()


def test_free_ports_are_all_different(tmp_path: Path) -> None:
    settings = PlatformSettings.on_free_ports(tmp_path)
    ports = [value for name, value in settings.model_dump().items() if name.endswith("_port")]
    assert len(set(ports)) == len(ports) == 19


def test_an_unknown_component_is_named(tmp_path: Path) -> None:
    platform = Platform(PlatformSettings(home=tmp_path / "var"))
    with pytest.raises(PlatformError, match="'mainframe'"):
        platform.closure(["mainframe"])


def test_what_is_needed_comes_first(tmp_path: Path) -> None:
    order = Platform(PlatformSettings(home=tmp_path / "var")).closure(["sink"])
    assert order == [
        "postgres",
        "kafka",
        "kafka-logins",
        "databases",
        "lake-schema",
        "replica-schema",
        "sink",
    ]
