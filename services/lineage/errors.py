"""What the lineage service refuses."""

from services.chassis.web.problems import BadRequest, NotFound, Unprocessable


class InvalidEvent(Unprocessable):
    """The event is not OpenLineage."""


class TooManyEvents(Unprocessable):
    """The batch has too many events."""


class NoSuchNode(NotFound):
    """The graph has no such node."""


class NoSuchRun(NotFound):
    """No event has named this run."""


class NoSuchEntry(NotFound):
    """There is no such namespace, source, dataset, job, version or tag."""


class VersionWithDownstream(BadRequest):
    """A version has no downstream."""
