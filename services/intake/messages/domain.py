"""Records of Kafka: whose they are, by what each is known, and what is kept of the rejected ones. Plain Python."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from services.intake.imports.domain import SCOPES, ImportKind
from services.lake.domain.roles import SYSTEM_ACTOR, Role

GROUP = "intake"
"""The consumer group of all processes of intake."""
TOPIC_PREFIX = "intake."
KEPT = timedelta(days=30)
"""For how long a rejected record can be read."""
NUMBER = re.compile(r"[\x21-\x7e]{1,64}")
"""The form of a sender's number of a record: that of a row's external_ref."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Rights(NamedTuple):
    """As whom a kind of records is written."""

    role: Role
    scopes: frozenset[str]


RIGHTS: Mapping[ImportKind, Rights] = {
    ImportKind.APPLICATIONS: Rights(Role.SERVICE, SCOPES[ImportKind.APPLICATIONS]),
    # No token of a program moves money: here it is the operator who says that this sender may.
    ImportKind.PAYMENTS: Rights(Role.SERVICING, SCOPES[ImportKind.PAYMENTS]),
}


class Origin(NamedTuple):
    """Who writes to a topic, and what its records become."""

    sender: UUID
    kind: ImportKind


@dataclass(frozen=True, slots=True)
class Received:
    """A record as it came.

    `value` is None for a record without one. Such a header is None when it is missing. `readable` is False when the
    client library could not decode the record: then nothing else is known of it but its place.
    """

    origin: Origin
    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None
    message_id: str | None = None
    traceparent: str | None = None
    readable: bool = True


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that could not be written as it is.

    `problem` is the body that the API would have answered with; it never says what the record says. `payload` is
    encrypted, and of a long value the beginning; `payload_bytes` is the length of the whole.
    """

    id: UUID
    sender: UUID
    kind: ImportKind
    topic: str
    partition_number: int
    record_offset: int
    reference: str | None
    problem: Mapping[str, Any]
    payload_bytes: int | None
    traceparent: str | None
    received_at: datetime
    payload: bytes | None = None


def topic_of(origin: Origin) -> str:
    """The topic to which only this sender may write, and only records of this kind."""
    return f"{TOPIC_PREFIX}{origin.kind}.{origin.sender}"


def traced(traceparent: str | None) -> str | None:
    """A sender's `traceparent`, if it looks like one."""
    return traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None


def parse_senders(text: str) -> Mapping[str, Origin]:
    """The topics of the senders of a setting, each with its origin.

    Args:
        text: a JSON object with the kinds of each sender by its id, or nothing.

    Raises:
        ValueError: with all that is wrong.
    """
    if not text.strip():
        return {}
    try:
        given = json.loads(text, object_pairs_hook=list)
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not _is_object(given):
        raise ValueError("it is not a JSON object with senders' ids")
    faults: list[str] = []
    found: dict[str, Origin] = {}
    for number, (name, kinds) in enumerate(given, 1):
        sender = _sender(name)
        if sender is None:
            faults.append(f"sender {number} is not the id of a client (UUID)")
        faults += [f"sender {number} {wrong}" for wrong in _faults(kinds)]
        if sender is None or faults:
            continue
        for kind in kinds:
            origin = Origin(sender, ImportKind(kind))
            if topic_of(origin) in found:
                faults.append(f"sender {number} is there twice")
                break
            found[topic_of(origin)] = origin
    if faults:
        raise ValueError("; ".join(faults))
    return found


def _is_object(given: Any) -> bool:
    # The parser gives the members of an object as pairs, so that none is lost that occurs twice.
    return isinstance(given, list) and all(isinstance(one, tuple) for one in given)


def _sender(name: str) -> UUID | None:
    try:
        found = UUID(name)
    except ValueError:
        return None
    return None if found == SYSTEM_ACTOR else found


def _faults(kinds: Any) -> Sequence[str]:
    known = {str(kind) for kind in ImportKind}
    if not isinstance(kinds, list) or not kinds or any(not isinstance(one, str) for one in kinds):
        return [f"needs a list of {' or '.join(sorted(known))}"]
    faults = [] if known.issuperset(kinds) else [f"has a kind that is none of {', '.join(sorted(known))}"]
    return faults if len(set(kinds)) == len(kinds) else [*faults, "names a kind twice"]
