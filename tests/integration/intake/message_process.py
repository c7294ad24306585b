"""A process of its own that reads records, for tests that kill it: `python -m … LAKE SENDERS`; Kafka by KAFKA_…."""

import asyncio
import os
import sys
from datetime import timedelta

from aiokafka import AIOKafkaConsumer

from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import open_consumer
from services.chassis.objects.sealed import Keys
from services.chassis.telemetry.spans import Telemetry
from services.intake.messages.consumer import MessageConsumer
from services.intake.messages.domain import GROUP, parse_senders
from services.intake.messages.repository import RejectedRepository
from services.intake.messages.service import Messages
from services.lake.database import Lake
from tests.integration.intake.import_process import worker_over
from tests.integration.lending import OBJECT_KEY

SESSION_MILLIS = 6_000
"""The shortest that the broker takes: for as long it waits for a member that was killed."""


async def main(url: str, senders: str) -> None:
    """Read until killed."""
    telemetry = Telemetry.start("intake")
    lake = Lake.open(url, service="test", pool_size=4)
    # Its writer writes records as well as rows of files.
    writer = worker_over(lake, "file:///unused", timedelta(seconds=1))._writer
    kafka = KafkaAccess.from_environment(os.environ)

    async def connect() -> AIOKafkaConsumer:
        return await open_consumer(kafka, GROUP, "test", session_timeout_millis=SESSION_MILLIS)

    messages = Messages(lake, RejectedRepository(), writer, Keys.parse(OBJECT_KEY))
    await MessageConsumer(messages, parse_senders(senders), connect, telemetry.tracer).keep()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
