"""Names of database errors for logs: the kind and the server's code, never the text, which may quote a row."""

from services.chassis.engines.sqlserver import code


def error_name(error: BaseException) -> str:
    """Give the class of the driver's error and its code: `UniqueViolationError 23505`, `ProgrammingError 42000/229`.

    The code is the SQLSTATE, on SQL Server with the server's error number behind it; without either, the class alone.
    """
    original = getattr(error, "orig", None) or error
    # The driver's own error, where SQLAlchemy has wrapped it.
    original = original.__cause__ if hasattr(original.__cause__, "sqlstate") else original
    state = getattr(original, "sqlstate", None) or code(original)
    return " ".join(str(part) for part in (type(original).__name__, state) if part)
