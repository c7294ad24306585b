"""Optimistic locking over HTTP: the ETag of a record is its revision; a write names the revision it is based on."""

import re
from typing import Annotated

from fastapi import Depends, Header

from services.chassis.web.openapi import required
from services.chassis.web.problems import BadRequest, PreconditionRequired

_ETAG = re.compile(r'"(0|[1-9][0-9]{0,8})"')


def etag(revision: int) -> str:
    """The strong entity tag of `revision`: 3 is `"3"`."""
    return f'"{revision}"'


async def expected_revision(
    if_match: Annotated[
        str | None,
        Header(
            description='ETag of the record as it was read, such as `"3"`.',
            json_schema_extra=required(r'^"(0|[1-9][0-9]{0,8})"$', '"3"'),
        ),
    ] = None,
) -> int:
    """FastAPI dependency: the revision that the caller's change is based on, from `If-Match`.

    Raises PreconditionRequired without the header, BadRequest when it is not one strong ETag of this API: `*` and
    lists would allow a change that is based on no particular revision.
    """
    if if_match is None:
        raise PreconditionRequired("Read the record, then send its ETag as If-Match.")
    tag = _ETAG.fullmatch(if_match.strip())
    if tag is None:
        raise BadRequest('If-Match must be one ETag as it was read, such as "3".')
    return int(tag[1])


ExpectedRevision = Annotated[int, Depends(expected_revision)]
