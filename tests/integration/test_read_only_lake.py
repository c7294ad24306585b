"""A lake that can be read but not written: writes answer 503 with Retry-After, reads continue."""

from uuid import uuid4

from tests.conftest import Database
from tests.integration.lending import Lending


async def test_writes_answer_503_and_reads_go_on_while_the_lake_is_read_only(
    fresh_lake: Database, fresh_application: Database
) -> None:
    key = str(uuid4())
    async with Lending.over(fresh_lake, fresh_application) as lending:
        maker = lending.user("maker")
        content = await lending.content(maker)
        view = await lending.submitted(maker)
    async with fresh_lake.connect() as owner:
        # For sessions that begin from now on, as after a failover to a standby.
        await owner.execute(f'ALTER DATABASE "{fresh_lake.name}" SET default_transaction_read_only = on')
    async with Lending.over(fresh_lake, fresh_application) as lending:
        # The tokens of another run are none here: the same maker with new ones.
        maker = lending.user("maker", id=maker.id)
        refused = await lending.post(maker, content, key)
        assert refused.status_code == 503, refused.text
        assert refused.headers["Retry-After"] == "1"
        assert "cannot serve" in refused.json()["detail"]
        read = await lending.intake.get(f"/applications/{view['id']}", headers=maker.headers)
        assert read.status_code == 200, read.text
    async with fresh_lake.connect() as owner:
        await owner.execute("SET default_transaction_read_only = off")
        await owner.execute(f'ALTER DATABASE "{fresh_lake.name}" RESET default_transaction_read_only')
    async with Lending.over(fresh_lake, fresh_application) as lending:
        maker = lending.user("maker", id=maker.id)
        accepted = await lending.post(maker, content, key)
        assert accepted.status_code == 201, accepted.text
