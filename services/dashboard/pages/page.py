"""What a page is: where it stands, who may open it, what it shows and which callbacks it has."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from services.dashboard.sessions.callbacks import Callbacks
from services.dashboard.sessions.domain import Person

Layout = Callable[[Mapping[str, str], Mapping[str, str]], Awaitable[Any]]
"""Makes a page's content for `here()`: from the parts of its path, and from the parameters of its URL."""


def no_callbacks(_: Callbacks) -> None:
    """A page without any."""


@dataclass(frozen=True)
class Page:
    """A page of the dashboard.

    Args:
        path: where it stands; `{name}` stands for one part.
        title: its message in the catalogue.
        scopes: one of these opens it.
        layout: makes its content.
        callbacks: registers its callbacks.
        section: the heading in the menu under which it stands; None keeps it out of the menu.
        icon: the name of its picture in the menu.
    """

    path: str
    title: str
    scopes: frozenset[str]
    layout: Layout = field(repr=False)
    callbacks: Callable[[Callbacks], None] = field(default=no_callbacks, repr=False)
    section: str | None = None
    icon: str = ""

    @property
    def in_menu(self) -> bool:
        """Whether the menu names it."""
        return self.section is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[0-9a-f-]{36})", re.escape(self.path)))

    def matches(self, path: str) -> Mapping[str, str] | None:
        """The named parts of `path` when it is a path of this page, else None."""
        found = self._pattern.fullmatch(path)
        return None if found is None else found.groupdict()

    def open_to(self, person: Person) -> bool:
        """Whether `person` may open it."""
        return bool(self.scopes & person.scopes)
