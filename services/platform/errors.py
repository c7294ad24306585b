"""What can go wrong while the platform is started or stopped."""


class PlatformError(Exception):
    """Something that the person at the keyboard has to know: what happened, where, and what to do."""


class NotAvailableError(PlatformError):
    """A component that the platform can do without cannot be had on this machine; the message says why."""


class NotReadyYet(Exception):
    """The process does not answer as it should yet."""
