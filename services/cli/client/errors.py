"""What can go wrong for somebody who calls the platform, and the status with which the command ends."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

REFUSED, USAGE, UNAVAILABLE = 1, 2, 3


class ClientError(Exception):
    """A command could not do what it was asked for; the text is for the person who typed it."""

    status: ClassVar[int] = REFUSED


class WrongUsage(ClientError):
    """Something about the command, a profile or a file is wrong."""

    status = USAGE


class NotLoggedIn(WrongUsage):
    """There is no session to use."""


class Unavailable(ClientError):
    """The platform does not answer, or cannot at the moment."""

    status = UNAVAILABLE


class Refused(ClientError):
    """A service refused: its problem details (RFC 9457) as text."""

    def __init__(self, status_code: int, problem: Mapping[str, Any]) -> None:
        """`problem` may have any members: a proxy in between answers what it likes."""
        self.status_code = status_code
        self.problem = problem
        lines = [str(problem.get("title") or f"The service answered {status_code}.")]
        if detail := problem.get("detail"):
            lines.append(str(detail))
        faults: Sequence[Mapping[str, Any]] = problem.get("errors") or ()
        lines += [f"  {fault.get('pointer')}: {fault.get('detail')}" for fault in faults]
        if trace := problem.get("trace_id"):
            lines.append(f"trace {trace}")
        super().__init__("\n".join(lines))


class OtpRequired(Refused):
    """The password was right, and a code of the second factor is needed."""
