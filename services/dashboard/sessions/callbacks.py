"""The callbacks that there are, each with the scope that it needs, and what a request for one must look like."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from dash import ClientsideFunction, Dash

from services.chassis.web.problems import BadRequest

Callback = Callable[..., Awaitable[Any]]
NOBODY_IN_PARTICULAR = ""
"""The scope of a callback that everybody who is logged in may call."""


class Callbacks:
    """Registers callbacks with their scopes."""

    def __init__(self, app: Dash) -> None:
        """`app`: what they are registered with."""
        self.app = app
        self.scopes: dict[str, str] = {}
        """The scope of each callback by the name of its outputs."""

    def on(self, *arguments: Any, scope: str, **options: Any) -> Callable[[Callback], Callback]:
        """Register the decorated function; `scope` is what its caller needs, the rest is Dash's."""

        def register(function: Callback) -> Callback:
            before = set(self.app.callback_map)
            self.app.callback(*arguments, **options)(function)
            for output in set(self.app.callback_map) - before:
                self.scopes[output] = scope
            return function

        return register

    def in_browser(self, function: ClientsideFunction, *arguments: Any, **options: Any) -> None:
        """Register a function of our script file, which the server never runs."""
        self.app.clientside_callback(function, *arguments, **options)

    def scope_of(self, body: bytes) -> str:
        """The scope that a request for a callback needs.

        Raises:
            BadRequest: `body` is no request for a callback that there is.
        """
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BadRequest("The body is not valid JSON.") from None
        if not isinstance(asked, dict):
            raise BadRequest("The body must be an object.")
        output = asked.get("output")
        if not isinstance(output, str) or output not in self.scopes:
            raise BadRequest("There is no such callback.")
        known = self.app.callback_map[output]
        for member, declared in (("inputs", known["inputs"]), ("state", known["state"])):
            if not _fits(asked.get(member, []), declared):
                raise BadRequest(f"The {member} are not those of the callback.")
        if not _are_outputs(asked.get("outputs"), output):
            raise BadRequest("The outputs are not those of the callback.")
        changed = asked.get("changedPropIds", [])
        if not isinstance(changed, list) or not all(isinstance(one, str) for one in changed):
            raise BadRequest("changedPropIds must be a list of texts.")
        return self.scopes[output]


def _fits(given: Any, declared: list[Mapping[str, Any]]) -> bool:
    return (
        isinstance(given, list)
        and len(given) == len(declared)
        and all(_is_one(one, wanted) for one, wanted in zip(given, declared, strict=True))
    )


def _is_one(one: Any, declared: Mapping[str, Any]) -> bool:
    if str(declared["id"]).startswith("{"):
        # A pattern: one part of the page, or a list of all that fit.
        return all(
            isinstance(each, dict)
            and isinstance(each.get("id"), dict)
            and each.get("property") == declared["property"]
            for each in (one if isinstance(one, list) else [one])
        )
    return (
        isinstance(one, dict)
        and one.get("id") == declared["id"]
        and one.get("property") == declared["property"]
    )


def _are_outputs(given: Any, output: str) -> bool:
    single = not output.startswith("..")
    parts = [output] if single else output.strip(".").split("...")
    listed = [given] if single else given
    return (
        isinstance(listed, list)
        and len(listed) == len(parts)
        and all(
            isinstance(one, dict | list)
            and (
                part.startswith("{")
                # An output that several callbacks have ends with a hash, in both places.
                or (isinstance(one, dict) and f"{one.get('id')}.{one.get('property')}" == part)
            )
            for one, part in zip(listed, parts, strict=True)
        )
    )
