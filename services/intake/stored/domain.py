"""How the objects of documents and of imports are named. Plain Python."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the objects of one kind of rows are in their store: each has the id of its row."""

    name: str

    def key(self, row_id: UUID) -> str:
        """The key of a row's object: its id, whatever people call it."""
        return f"{self.name}/{row_id}"

    def id_of(self, key: str) -> UUID | None:
        """The id of the row whose object has this key; None: no row's has."""
        try:
            found = UUID(key.rpartition("/")[2])
        except ValueError:
            return None
        return found if self.key(found) == key else None
