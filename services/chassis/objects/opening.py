"""The store that the settings of a process describe."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.chassis.objects.interface import Objects
from services.chassis.objects.local import LocalObjects
from services.chassis.objects.sealed import Keys, SealedObjects


def open_objects(url: str, keys: str) -> Objects:
    """The store at `url`, whose objects are encrypted with `keys`; nothing is touched before it is used.

    Args:
        url: `file:///folder`, a folder of this machine.
        keys: as `Keys.parse` takes them.

    Raises:
        ValueError: the URL is of another kind, or the keys are not usable.
    """
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
        raise ValueError("the URL of a store of objects is file:///folder")
    return SealedObjects(LocalObjects(Path(unquote(parts.path))), Keys.parse(keys))
