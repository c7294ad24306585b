"""Tags of parties: one for all spellings of a value, and nothing of the value in them."""

from __future__ import annotations

import unicodedata
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.web.input.strict import Reference
from services.intake.domain import PartyDetails, PartyKind, Sought
from services.intake.parties.contacts import email_key, folded, phone_key
from services.intake.parties.national_ids import key_of
from services.intake.parties.tags import Tagged, TagKeys, normalised
from services.intake.settings import IntakeSettings

OLD, NEW = "o" * 32, "n" * 32
BORN = date(1986, 4, 1)

# All that PostgreSQL stores.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


def person(name: str = "Lê Văn An", **known: str) -> PartyDetails:
    return PartyDetails(PartyKind.PERSON, name, BORN, **known)


@given(TEXTS)
def test_any_text_that_a_table_can_hold_has_a_key_and_keeps_it(text: str) -> None:
    for key in (folded, email_key, phone_key):
        made = key(text)
        assert key(made) == made, key
        made.encode()


@given(TEXTS, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_neither_case_nor_composition_counts(text: str, form: str) -> None:
    assert folded(unicodedata.normalize(form, text)) == folded(text)
    assert folded(unicodedata.normalize("NFD", text).casefold()) == folded(text)


@given(
    st.from_regex(r"[a-z0-9]{1,12}(\.[a-z0-9]{1,12})?", fullmatch=True),
    st.from_regex(r"[a-z]{2,12}\.(com|example\.org)", fullmatch=True),
    st.data(),
)
def test_an_address_is_the_same_in_any_case(local: str, domain: str, data: st.DataObject) -> None:
    address = f"{local}@{domain}"
    cases = data.draw(st.lists(st.booleans(), min_size=len(address), max_size=len(address)))
    other = "".join(one.upper() if up else one for one, up in zip(address, cases, strict=True))
    assert email_key(other) == email_key(f" {address} ") == address


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("an@example.com", "\uff41\uff4e@example.com"),
        ("an@xn--bcher-kva.example", "an@BÜCHER.example"),
        ("müller@example.com", "mu\u0308ller@example.com"),
    ],
)
def test_an_address_is_the_same_in_any_spelling(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@given(st.integers(10**8, 10**9 - 1), st.data())
def test_a_number_is_the_same_with_any_separators(digits: int, data: st.DataObject) -> None:
    number = f"+84{digits}"
    gaps = [data.draw(st.sampled_from(["", " ", "-", ".", "/"])) for _ in number[3:]]
    spelt = "+84" + "".join(gap + digit for gap, digit in zip(gaps, number[3:], strict=True))
    assert phone_key(spelt) == phone_key(number) == number
    wide = "".join(chr(ord(one) + 0xFEE0) for one in number)
    assert phone_key(wide) == number


@given(st.text("ABCdef019 -./", min_size=1, max_size=32).filter(lambda text: key_of(text) != ""))
def test_a_national_id_is_found_as_it_is_asked_for(text: str) -> None:
    stored = Reference(32).check(text)
    assert key_of(stored) == key_of(text) == key_of(text.lower())


@pytest.mark.parametrize(
    ("one", "other"), [("Lê Văn An", "LÊ  VĂN  AN"), ("Lê Văn An", unicodedata.normalize("NFD", "Lê Văn An"))]
)
def test_a_person_is_a_day_and_a_name_in_any_spelling(one: str, other: str) -> None:
    assert normalised(person(one)) == normalised(person(other))


def test_other_people_are_others() -> None:
    known = [
        person("Lê Văn An"),
        person("Le Van An"),
        PartyDetails(PartyKind.PERSON, "Lê Văn An", date(1986, 1, 4)),
    ]
    for one, other in pairwise(known):
        assert normalised(one) != normalised(other)
    assert normalised(PartyDetails(PartyKind.ORGANISATION, "An & Co")) == {}


def test_what_is_sought_has_the_tags_of_what_is_stored() -> None:
    keys = TagKeys(NEW)
    stored = keys.row(person(national_id="AB-1", email="An@Example.com", phone="+842438252916"), 1)
    sought = normalised(Sought(national_id="ab 1", email="an@example.com", phone="+84 24 3825 2916"))
    assert {f"{kind}_tag" for kind in sought} == {"national_id_tag", "email_tag", "phone_tag"}
    for kind, value in sought.items():
        assert keys.tags(kind, value) == [stored[f"{kind}_tag"]]
        assert len(stored[f"{kind}_tag"]) == 32


def test_a_value_has_another_tag_as_something_else_and_with_another_key() -> None:
    made = {tag for keys in (OLD, NEW) for kind in Tagged for tag in TagKeys(keys).tags(kind, "123456789")}
    assert len(made) == 2 * len(Tagged)


def test_the_first_key_tags_and_all_find() -> None:
    both, old, new = TagKeys(f"{NEW},{OLD}"), TagKeys(OLD), TagKeys(NEW)
    assert both.tags(Tagged.EMAIL, "x") == [*new.tags(Tagged.EMAIL, "x"), *old.tags(Tagged.EMAIL, "x")]
    assert both.row(person(email="a@b.example"), 3) == new.row(person(email="a@b.example"), 3)
    assert both.newest == new.newest != old.newest
    assert len(both.newest) == 16
    assert NEW not in both.newest


@pytest.mark.parametrize("key", ["", "short", f"{NEW},", f"{NEW},short", f",{NEW}"])
def test_a_short_key_is_refused_and_not_repeated(key: str) -> None:
    common = {"http_port": 0, "auth_jwks_url": "http://x/y", "lake_url": "postgresql+asyncpg://a@b/c"}
    with pytest.raises(ValueError, match="32 characters") as refused:
        IntakeSettings(**common, person_tag_key=key)
    assert NEW not in str(refused.value)


def test_a_key_is_never_made_up() -> None:
    common = {"http_port": 0, "auth_jwks_url": "http://x/y", "lake_url": "postgresql+asyncpg://a@b/c"}
    with pytest.raises(ValueError, match="person_tag_key"):
        IntakeSettings(**common)
