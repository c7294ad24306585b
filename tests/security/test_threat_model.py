"""Every line of the threat model has a test, and every test that it names is there."""

from __future__ import annotations

import re

from tests.security.threats import KINDS, ROOT, threats


def test_every_attack_has_a_test() -> None:
    assert [threat.attack for threat in threats() if not threat.tests] == []


def test_every_kind_of_threat_is_thought_of() -> None:
    assert {threat.kind for threat in threats()} == set(KINDS)


def test_the_tests_that_are_named_exist() -> None:
    named = {test for threat in threats() for test in threat.tests}
    missing = []
    for test in sorted(named):
        path, _, name = test.partition("::")
        file = ROOT / path
        if not file.exists() or not re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE):
            missing.append(test)

    assert missing == []


def test_no_attack_is_listed_twice() -> None:
    attacks = [threat.attack for threat in threats()]

    assert len(set(attacks)) == len(attacks) > 40
