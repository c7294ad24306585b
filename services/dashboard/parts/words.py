"""The words for what the APIs name by codes: every code has a message, and states have a colour beside their word."""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc

from services.dashboard.here import here
from services.lake.domain.roles import Role
from services.lake.domain.states import State

NOTHING = "\u2013"
"""Stands where there is no value."""
MINUS = "\u2212"

STATES: Mapping[str, tuple[str, str]] = {
    State.DRAFT: ("Draft", "gray"),
    State.SUBMITTED: ("Submitted", "blue"),
    State.IN_REVIEW: ("In review", "indigo"),
    State.RETURNED: ("Returned", "orange"),
    State.APPROVED: ("Approved", "teal"),
    State.REJECTED: ("Rejected", "red"),
    State.BOOKED: ("Booked", "green"),
    State.WITHDRAWN: ("Withdrawn", "gray"),
    State.EXPIRED: ("Expired", "gray"),
}
ROLES: Mapping[str, str] = {
    Role.MAKER: "Maker",
    Role.OFFICER: "Officer",
    Role.SENIOR_OFFICER: "Senior officer",
    Role.COMMITTEE: "Committee",
    Role.SERVICING: "Servicing",
    Role.AUDITOR: "Auditor",
    Role.ANALYST: "Analyst",
    Role.ADMINISTRATOR: "Administrator",
    Role.SERVICE: "Program",
}
SERVICES: Mapping[str, str] = {
    "auth": "The login service",
    "intake": "The intake of applications",
    "approval": "Approval",
    "search": "Search",
    "analytics": "Analytics",
    "prometheus": "What measures the platform (Prometheus)",
    "traces": "The store of traces",
}
UNSET: Mapping[str, tuple[str, str]] = {
    "prometheus": (
        "Nothing measures this platform.",
        "Start Prometheus, and set PROMETHEUS_URL of the dashboard to its address.",
    ),
    "traces": (
        "Nothing keeps traces here.",
        "Start Zipkin or Jaeger, and set TRACES_URL of the dashboard to its address.",
    ),
}
"""What is said, and what helps, where the address of one of them was not set."""
CHANNELS: Mapping[str, str] = {
    "branch": "Branch",
    "online": "Online",
    "phone": "Telephone",
    "partner": "Partner",
}
PARTY_ROLES: Mapping[str, str] = {
    "borrower": "Borrower",
    "co-borrower": "Co-borrower",
    "guarantor": "Guarantor",
}
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "approve": ("Approved", "teal"),
    "reject": ("Rejected", "red"),
    "return": ("Returned", "orange"),
}
STAGE_STATUS: Mapping[str, tuple[str, str]] = {
    "approved": ("Approved", "teal"),
    "rejected": ("Rejected", "red"),
    "returned": ("Returned", "orange"),
    "due": ("Due now", "blue"),
    "waiting": ("Waiting", "gray"),
}


def word(words: Mapping[str, str], code: str | None) -> str:
    """The word of a code; a code of the installation's own, such as a stage's, with its underscores as blanks."""
    if code is None:
        return NOTHING
    found = words.get(code)
    return here().texts(found) if found else code.replace("_", " ").capitalize()


def badge(words: Mapping[str, tuple[str, str]], code: str, **options: Any) -> Any:
    """The word of a code in its colour."""
    message, color = words[code]
    return dmc.Badge(
        here().texts(message), color=color, variant="light", radius="sm", tt="none", fw=600, **options
    )


def stage(name: str) -> str:
    """The word of a stage of approval, which is a role in the bands that come with the installation."""
    return word(ROLES, name)
