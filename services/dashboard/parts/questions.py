"""The questions of the form as fields, and what a browser has sent for them as values of the API."""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import html

from services.dashboard.forms.model import FormField, application_form
from services.dashboard.here import here
from services.dashboard.parts.input import number_text, text

BORROWER: Mapping[str, tuple[str, int]] = {
    "full_name": ("Name", 200),
    "birth_date": ("Birth date", 10),
    "national_id": ("National id", 32),
    "email": ("E-mail", 200),
}
"""What is asked of the borrower, with the longest answer."""
_NEEDED = frozenset({"full_name", "birth_date"})


def field_id(name: str) -> str:
    """The id of a question's field."""
    return f"apply-{name}"


def names() -> list[str]:
    """The names of all questions: the borrower's, then those of the form."""
    return [*BORROWER, *(field.name for section in application_form() for field in section.fields)]


def sections(products: list[Mapping[str, Any]], values: Mapping[str, Any]) -> list[Any]:
    """The form, with the products of today and the values that are known."""
    t = here().texts
    borrower = [
        _text(name, t(label), values.get(name), most, needed=name in _NEEDED)
        for name, (label, most) in BORROWER.items()
    ]
    return [
        _section(t("The borrower"), borrower),
        *(
            _section(
                t(section.section), [_field(one, products, values.get(one.name)) for one in section.fields]
            )
            for section in application_form()
        ),
    ]


def read(answers: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The answers as the API takes them.

    Args:
        answers: what the browser sent, by the names of the questions.

    Returns:
        The borrower's details, the body of the application without its parties, and by name what is wrong.
    """
    t = here().texts
    wrong: dict[str, str] = {}
    details = {name: text(answers.get(name), 200) for name in BORROWER}
    wrong |= {name: t("This must be filled in.") for name in _NEEDED if not details[name]}
    body: dict[str, Any] = {"profile": {}}
    for section in application_form():
        for field in section.fields:
            value, fault = _value(field, answers.get(field.name))
            if fault is not None:
                wrong[field.name] = fault
                continue
            target, name = (
                (body["profile"], field.pointer.removeprefix("/profile/"))
                if field.pointer.startswith("/profile/")
                else (body, field.pointer.removeprefix("/"))
            )
            target[name] = value
    return {name: value for name, value in details.items() if value}, body, wrong


def by_name(errors: list[dict[str, str]]) -> dict[str, str]:
    """What the API says is wrong, by the names of the questions; what it says of others is under `other`."""
    pointers = {field.pointer: field.name for section in application_form() for field in section.fields}
    found: dict[str, str] = {}
    for one in errors:
        pointer = one["pointer"].removeprefix("/body")
        name = pointers.get(pointer, pointer.removeprefix("/"))
        found[name if name in {*BORROWER, *pointers.values()} else "other"] = one["detail"]
    return found


def _value(field: FormField, answer: Any) -> tuple[Any, str | None]:
    t = here().texts
    if field.kind == "flag":
        return answer is True, None
    if field.kind in {"amount", "number"}:
        given = number_text(answer)
        if not given:
            return None, t("This must be filled in.")
        if field.kind == "amount":
            return given, None
        if not given.isdecimal():
            return None, t("Enter a number.")
        least, most = field.least or 0, field.most or 10**9
        if not least <= int(given) <= most:
            return None, t("from {least} to {most}", least=least, most=most)
        return int(given), None
    given = text(answer, field.most or 64)
    if not given:
        return None, t("This must be filled in.")
    return (int(given) if field.kind == "scale" and given.isdecimal() else given), None


def _section(title: str, fields: list[Any]) -> Any:
    return html.Section([html.H2(title), html.Div(fields, className="questions")], className="card")


def _text(name: str, label: str, value: Any, most: int, *, needed: bool = True, numeric: bool = False) -> Any:
    t = here().texts
    return dmc.TextInput(
        id=field_id(name),
        label=label,
        value=value or "",
        withAsterisk=needed,
        placeholder=t("YYYY-MM-DD") if name == "birth_date" else None,
        inputProps={"maxLength": most, **({"inputMode": "decimal"} if numeric else {})},
        # What was typed survives a reload and the end of the session; it is gone with the tab.
        persistence=True,
        persistence_type="session",
    )


def _field(field: FormField, products: list[Mapping[str, Any]], value: Any) -> Any:
    t = here().texts
    if field.kind == "flag":
        return dmc.Checkbox(
            id=field_id(field.name),
            label=t(field.label),
            checked=bool(value),
            radius="sm",
            persistence=True,
            persistence_type="session",
        )
    if field.kind in {"amount", "number", "text"}:
        return _text(field.name, t(field.label), value, field.most or 20, numeric=field.kind != "text")
    options = (
        [
            {
                "value": one["code"],
                "label": f"{one['name']} · {t('{rate} a year', rate=t.percent(one['interest_rate']))}",
            }
            for one in products
        ]
        if field.kind == "product"
        else [{"value": str(code), "label": t(label)} for code, label in field.options.items()]
    )
    return dmc.Select(
        id=field_id(field.name),
        label=t(field.label),
        data=options,
        value=value,
        placeholder=t("Choose"),
        withAsterisk=True,
        persistence=True,
        persistence_type="session",
    )
