"""Root runs PostgreSQL with an unprivileged account; other users run it directly."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from services.platform import account

as_root = pytest.mark.skipif(not account.is_root(), reason="only root hands commands to another account")
as_user = pytest.mark.skipif(account.is_root(), reason="root does not run PostgreSQL itself")


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A program in a folder that nobody else may enter."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    program = folder / "program"
    program.write_text('#!/bin/sh\nid -u && test -x "$0" && grep CapEff /proc/self/status\n')
    program.chmod(0o755)
    return program


@as_user
def test_a_user_runs_it_as_it_is(closed: Path) -> None:
    assert account.unprivileged((str(closed),), closed) == (str(closed),)


@as_root
def test_root_hands_over_what_the_account_may_not_reach(closed: Path) -> None:
    command = account.unprivileged((str(closed),), closed)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    uid, _, capabilities = done.stdout.split()
    assert int(uid) != os.geteuid()
    assert int(capabilities, 16) in {1 << number for number in account.CAPABILITIES.values()}


@as_root
def test_an_open_program_gets_no_capability_at_all() -> None:
    command = account.unprivileged(("/bin/grep", "CapEff", "/proc/self/status"), Path("/bin/grep"))
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert int(done.stdout.split()[1], 16) == 0
