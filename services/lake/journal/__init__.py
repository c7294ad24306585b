"""The journal: every committed change of the lake, in order, with the actor and the trace that caused it."""

from services.lake.journal.capture import captured_table, install_capture
from services.lake.journal.reader import Change, JournalReader, JournalStream

__all__ = ["Change", "JournalReader", "JournalStream", "captured_table", "install_capture"]
