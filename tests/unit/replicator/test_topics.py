"""The names of topics and of tables, each from the other."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from services.replicator.settings import ReplicatorSettings
from services.replicator.topics import table_of, topic_of

URL = SecretStr("postgresql+asyncpg://nobody@localhost/none")


def with_prefix(prefix: str) -> ReplicatorSettings:
    return ReplicatorSettings(
        http_port=0, lake_url=URL, application_url=URL, kafka_bootstrap="x:1", topic_prefix=prefix
    )


@pytest.mark.parametrize("prefix", ["lake.", "eu.lake-2.", "."])
def test_a_topic_leads_back_to_its_table_whatever_the_prefix(prefix: str) -> None:
    assert with_prefix(prefix).topic_prefix == prefix
    assert table_of(topic_of(prefix, "credit.party")) == "credit.party"


@pytest.mark.parametrize("prefix", ["", "lake", "lake./", "lake. "])
def test_a_prefix_that_would_not_lead_back_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="topic_prefix"):
        with_prefix(prefix)
