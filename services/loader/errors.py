"""What a person can put right; each message says what happened, where, and what to do."""

from services.chassis.engines import is_transient


def what_failed(error: BaseException) -> str:
    """Explain a database's error to the user, with the first line of its message."""
    said = (str(error).splitlines() or [""])[0]
    meaning = (
        "cannot serve at the moment; the same command may succeed later"
        if is_transient(error)
        else "refused a statement; the same command will fail again"
    )
    return f"{meaning} ({type(error).__name__}: {said})"


class LoaderError(Exception):
    """A load that cannot be done; nothing was written, the watermark is where it was."""


class InvalidFlow(LoaderError):
    """A flow file is not valid: every fault with file, line and field."""


class InvalidMapping(LoaderError):
    """The mapping of the vault is not valid, or does not fit the lake's tables: one line for each fault."""


class UnknownFlow(LoaderError):
    """There is no flow of this name, or it is not one that the loader loads."""


class AlreadyLoading(LoaderError):
    """Another process is loading this flow."""


class SourceUnreachable(LoaderError):
    """The source did not answer, or not as it should."""


class SourceChanged(LoaderError):
    """The source does not match the flow file, or was replaced."""


class CheckFailed(LoaderError):
    """Rows do not fit what the target demands."""


class NotReplayable(LoaderError):
    """A batch's window cannot be read again as it was."""


class WarehouseFailed(LoaderError):
    """The warehouse did not answer, or refused the rows."""
