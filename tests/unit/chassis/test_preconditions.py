import pytest

from services.chassis.web.preconditions import etag, expected_revision
from services.chassis.web.problems import BadRequest, PreconditionRequired


@pytest.mark.parametrize("revision", [0, 1, 42, 999_999_999])
async def test_an_etag_comes_back_as_its_revision(revision: int) -> None:
    assert await expected_revision(etag(revision)) == revision


async def test_a_write_without_a_precondition_is_refused() -> None:
    with pytest.raises(PreconditionRequired):
        await expected_revision(None)


@pytest.mark.parametrize("tag", ["*", "3", 'W/"3"', '"3", "4"', '"03"', '"x"', "", '"12345678901"', '"٣"'])
async def test_a_precondition_that_is_not_one_etag_of_ours_is_refused(tag: str) -> None:
    with pytest.raises(BadRequest):
        await expected_revision(tag)
