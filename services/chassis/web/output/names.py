"""The name of a file in an answer: a hint for the client, and never a path."""

import re
from urllib.parse import quote

# What a file system or a shell takes for more than a part of a name.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._ -]")


def safe_name(name: str) -> str:
    """`name` without what file systems and shells give a meaning: one part of a path, not hidden."""
    made = _UNSAFE.sub("_", name).strip(" .")
    return made or "file"


def disposition(name: str) -> str:
    """The header Content-Disposition (RFC 6266) that has a client store the answer as `name`, in any script."""
    made = safe_name(name)
    plain = _NOT_PLAIN.sub("_", made)
    if plain == made:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(made, safe='')}"
