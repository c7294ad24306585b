"""Named crash points between durable steps, so that tests can kill a real process exactly there.

`FAILPOINTS=sink.before_commit=kill` kills the process with SIGKILL when it reaches that point, `=stop` stops it
with SIGSTOP, `name=kill:3` the third time. Without the variable a point costs one look into an empty dict.
"""

import os
import signal

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _parse(text: str) -> dict[str, list[int]]:
    points: dict[str, list[int]] = {}
    for part in filter(None, text.split(",")):
        name, _, action = part.partition("=")
        verb, _, count = action.partition(":")
        points[name] = [_SIGNALS[verb], int(count or 1)]
    return points


_points = _parse(os.environ.get("FAILPOINTS", ""))


def failpoint(name: str) -> None:
    """Be the point `name`."""
    point = _points.get(name)
    if point is None:
        return
    point[1] -= 1
    if point[1] == 0:
        os.kill(os.getpid(), point[0])
