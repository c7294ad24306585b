"""Why a catalogue is refused; each message says where and what was expected."""


class InvalidCondition(ValueError):
    """A condition is not of the grammar, or does not fit the table: position and what was expected."""


class InvalidCatalogue(Exception):
    """Files of the catalogue are not valid: one line a fault, each with file, line and field."""


class UnknownMember(ValueError):
    """A dimension can have no member of this name."""
