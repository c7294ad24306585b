"""The names under which a service answers: a request for another one is refused.

A page of another site can have its own name lead to this machine (DNS rebinding), and what an answer says about its own
address must not be what a client wrote.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from services.chassis.web.health import PATHS
from services.chassis.web.problems import MisdirectedRequest, problem_response


class Hosts:
    """The ASGI middleware that refuses requests whose Host is not one of ours.

    Probes and Prometheus call /livez, /readyz and /metrics by addresses that nobody lists, so these are open.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str]) -> None:
        """`names`: host names and addresses without port; `*.` in front stands for every name below."""
        self._app = app
        wanted = {name.lower() for name in names}
        self._exact = frozenset(name for name in wanted if not name.startswith("*."))
        self._below = tuple(name.removeprefix("*") for name in wanted if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if it is for us."""
        if scope["type"] == "http" and scope["path"] not in PATHS and not self._serves(scope):
            refusal = MisdirectedRequest("The operator names the served hosts in HTTP_HOSTS.")
            await problem_response(scope, refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _serves(self, scope: Scope) -> bool:
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1:
            return False
        host = _without_port(named[0].decode("latin-1").lower())
        return host in self._exact or host.endswith(self._below)


def _without_port(host: str) -> str:
    # An IPv6 address has colons of its own, and stands in brackets.
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdecimal() and not port.endswith("]") else host
