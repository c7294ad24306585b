"""Problems that only search answers."""

from collections.abc import Sequence

from services.chassis.web.problems import Unavailable, Unprocessable


class ReplicaNotReady(Unavailable):
    """The replica is not ready yet."""

    def __init__(self, missing: Sequence[str] = ()) -> None:
        """`missing`: tables that the sink has not created yet, if they are known."""
        what = ", ".join(missing) or "a part of it"
        super().__init__(
            f"Still missing: {what}. The replicator's sink creates the tables; try again shortly.",
            retry_after=5,
        )


class FiltersContradict(Unprocessable):
    """No application can meet these filters."""
