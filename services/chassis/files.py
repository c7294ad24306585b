"""Files that nobody but their owner reads. Plain Python."""

import os
import tempfile
from pathlib import Path


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file in one step; nobody but its owner may ever read it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:  # mkstemp makes it 0600
        file.write(content.encode() if isinstance(content, str) else content)
    Path(name).replace(path)
