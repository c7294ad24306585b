"""Errors of starting and stopping the platform."""


class PlatformError(Exception):
    """An error for the user: what happened, where, and what to do."""


class NotAvailableError(PlatformError):
    """An optional component is not available on this machine; the message says why."""


class NotReadyYet(Exception):
    """The process does not answer as it should yet."""
