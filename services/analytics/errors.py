"""What analytics refuses."""

from typing import ClassVar

from services.analytics.domain import MOST_POINTS
from services.chassis.web.problems import NotFound, Problem, Unprocessable


class NotPublished(Exception):
    """What is in `ap` may not be shown; the message says why and what to do. The build before it stays."""


class NothingPublished(NotFound):
    """Nothing was published yet."""

    # No failure of the service: with a 503 clients would repeat the call, and their circuit breakers open.
    def __init__(self) -> None:
        super().__init__(
            "The warehouse was not built yet, or no build has passed its tests. Load it by Airflow's flow lake, or by "
            "`creditmesh platform build`."
        )


class BuildGone(Problem):
    """This build is not kept any more."""

    status: ClassVar[int] = 410

    def __init__(self, build_id: int) -> None:
        super().__init__(
            f"There is no build {build_id}: it is not kept any more, or never was. GET /builds lists those that are."
        )


class NoSuchKpi(NotFound):
    """There is no such KPI."""

    def __init__(self, identifier: str) -> None:
        super().__init__(f"The catalogue has no KPI {identifier!r}; GET /kpis lists them.")


class NoSuchPage(NotFound):
    """There is no such page."""


class NoSuchPoint(NotFound):
    """No single point of this KPI is as asked for."""


class NoSuchFilter(Unprocessable):
    """The KPI, or the build, has nothing that such a filter could choose."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(
            "Correct the parts named in errors.", errors=[{"pointer": f"/query/{name}", "detail": detail}]
        )


class TooManyPoints(Unprocessable):
    """The answer would have too many points."""

    def __init__(self, identifier: str) -> None:
        super().__init__(
            f"More than {MOST_POINTS} points of {identifier} are as asked for; narrow it by currency, dimension, "
            "grain, from and to."
        )
