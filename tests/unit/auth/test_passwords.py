"""Which new passwords are refused."""

import time

import pytest

from services.auth.accounts.passwords import weakness

NAMES = ("Mia.Maker", "Mia Mäker")


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaa",
        "\x00" * 12,
        "a" * 256,
        "ы" * 40,
        "abcabcabcabc",
        "xxxxxxxxxxxy",
        "123456789012",
        "qwertyuiop123",
        "Password1234!",
        "passwordpassword",
        "iloveyouiloveyou",
        "mia.maker.mia.maker",
        "MIAMAKER-miamaker",
        "m.i.a.m.a.k.e.r.2026",
        "maker mia maker",
        "mia mäker 1234",
        "creditmesh2026",
        "Credit-Mesh-Credit-Mesh",
        "!!!!????!!!!????",
    ],
)
def test_a_weak_password_is_refused_without_repeating_it(password: str) -> None:
    fault = weakness(password, NAMES)

    assert fault is not None
    assert password.strip("\x00") == "" or password not in fault


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "seven purple otters juggle",
        "XJ4tq-9sLw_Zp0aB",
        "trừu tượng chậu lan bốn mùa",
        "mia has eleven green umbrellas",
        "🦉🍋 velvet harbour 🚲 lantern",
    ],
)
def test_a_strong_password_is_taken(password: str) -> None:
    assert weakness(password, NAMES) is None


def test_the_longest_password_is_judged_in_no_time() -> None:
    started = time.process_time()
    weakness("".join(chr(33 + (7 * n) % 90) for n in range(256)), NAMES)

    assert time.process_time() - started < 2.0
