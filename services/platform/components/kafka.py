"""Embedded Apache Kafka: one node that is broker and controller (KRaft)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import subprocess
import uuid
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from services.chassis.files import write_private
from services.chassis.kafka_access import KafkaAccess, Mechanism
from services.chassis.messaging import ensure_topics
from services.platform.components import java
from services.platform.components.component import Component, Program, Tell
from services.platform.components.kafka_admin import Operation, Pattern, Resource, Right, set_logins
from services.platform.errors import NotReadyYet, PlatformError
from services.platform.home import KAFKA_LOGINS, OWNER, PARTNER, PRIVATE, Home
from services.platform.readiness import accepts
from services.platform.settings import HOST, PlatformSettings

JARS = "kafka-4.3.1"
OPTIONS = (
    "-Xmx512m",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    # A small machine: record batches are humongous objects to G1, and the second compiler works for minutes on what
    # a demo runs once. Together they took more than half of the broker's time.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
)
LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{ISO8601} %p %c{1} %m%n
"""


PARTNER_TOPICS = {f"intake.applications.{PARTNER}": 4}
"""The topics of the platform's one sender of records, with their partitions."""
# What each login may do: relay and sink with the topics of the lake, whose missing ones both create. The loader reads
# what a flow file names; it may read the lake as well.
RIGHTS = (
    *(
        Right(login, operation, Resource.TOPIC, "lake.", Pattern.PREFIXED)
        for login, own in (("relay", Operation.WRITE), ("sink", Operation.READ))
        for operation in (own, Operation.CREATE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS)
    ),
    Right("sink", Operation.READ, Resource.GROUP, "creditmesh-sink"),
    # A record's topic says who has sent it: only that sender writes there.
    *(
        Right("partner", operation, Resource.TOPIC, topic)
        for topic in PARTNER_TOPICS
        for operation in (Operation.WRITE, Operation.DESCRIBE)
    ),
    *(
        Right("intake", operation, Resource.TOPIC, "intake.", Pattern.PREFIXED)
        for operation in (Operation.READ, Operation.DESCRIBE)
    ),
    Right("intake", Operation.READ, Resource.GROUP, "intake"),
    *(Right("loader", operation, Resource.TOPIC, "*") for operation in (Operation.READ, Operation.DESCRIBE)),
)


def access(
    settings: PlatformSettings, home: Home, login: str = OWNER, mechanism: Mechanism = "SCRAM-SHA-512"
) -> KafkaAccess:
    """How a login reaches the embedded broker; the owner may do everything."""
    password = SecretStr(home.kafka_password(login))
    certificates = settings.certificates
    return KafkaAccess(
        settings.kafka_bootstrap,
        "SASL_SSL" if certificates else "SASL_PLAINTEXT",
        login,
        password,
        certificates.authority if certificates else None,
        mechanism,
    )


def owner_access(settings: PlatformSettings, home: Home) -> KafkaAccess:
    """How the platform itself enters: before there are logins of SCRAM, for it gives them."""
    return access(settings, home, mechanism="PLAIN")


class Kafka(Component):
    """The broker."""

    name = "kafka"
    ports = ("kafka_port", "kafka_controller_port")

    async def prepare(self, tell: Tell) -> None:
        """Have the jars, the configuration and a formatted storage."""
        tell("fetching the jars")
        await asyncio.to_thread(java.jars, JARS, self.settings.tools)
        write_private(self._configuration, self._properties())
        write_private(self.home.run / "log4j2.properties", LOGGING)
        if not (self._storage / "meta.properties").exists():
            tell("formatting the storage")
            await asyncio.to_thread(self._format)

    def program(self) -> Program:
        """The broker's process."""
        command = self._java(*OPTIONS, "kafka.Kafka", str(self._configuration))
        certificates = self.settings.certificates
        environment = certificates.environment() if certificates else {}
        return Program(self.name, command, self.home.run, environment, stop_seconds=30)

    async def ready(self) -> None:
        """It answers a client's metadata request."""
        await accepts(self.settings.kafka_port)
        admin = AIOKafkaAdminClient(
            **owner_access(self.settings, self.home).client(), request_timeout_ms=3000
        )
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except KafkaError as error:
            raise NotReadyYet(str(error)) from error
        finally:
            await admin.close()
        if not cluster["brokers"]:
            raise NotReadyYet("the broker is not registered yet")

    @property
    def _configuration(self) -> Path:
        return self.home.run / "kafka.properties"

    @property
    def _storage(self) -> Path:
        return self.home.data / "kafka"

    def _java(self, *arguments: str) -> tuple[str, ...]:
        logging = f"-Dlog4j2.configurationFile={self.home.run / 'log4j2.properties'}"
        return (java.java(), "-cp", f"{self.settings.tools / JARS}/*", logging, *arguments)

    def _format(self) -> None:
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One argument: an identity may begin with a dash.
        cluster = f"--cluster-id={identity}"
        arguments = ("kafka.tools.StorageTool", "format", cluster, "-c", str(self._configuration))
        done = subprocess.run(
            self._java(*arguments), capture_output=True, text=True, check=False, umask=PRIVATE
        )
        if done.returncode:
            raise PlatformError(
                f"Kafka's storage {self._storage} could not be formatted: {done.stderr or done.stdout}"
            )

    def _properties(self) -> str:
        broker, controller = (
            f"{HOST}:{self.settings.kafka_port}",
            f"{HOST}:{self.settings.kafka_controller_port}",
        )
        owner = self.home.kafka_password(OWNER)
        plain = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{OWNER}" password="{owner}" user_{OWNER}="{owner}";'
        )
        certificates = self.settings.certificates
        protocol = "SASL_SSL" if certificates else "SASL_PLAINTEXT"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENTS://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"CLIENTS://{broker}",
            "listener.security.protocol.map": f"CLIENTS:{protocol},CONTROLLER:{protocol}",
            "inter.broker.listener.name": "CLIENTS",
            # Logins of SCRAM are kept by the controllers: a broker cannot enter at them, or itself, by one.
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": plain,
            "listener.name.clients.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.clients.plain.sasl.jaas.config": plain,
            "listener.name.clients.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{OWNER}",
            "log.dirs": str(self._storage),
            "auto.create.topics.enable": "false",
            # One node: every internal topic has one replica.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "min.insync.replicas": "1",
            "group.initial.rebalance.delay.ms": "0",
            # After kill -9 a broker waits until its old session has run out.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.segment.bytes": str(128 << 20),
            # On a few cores more threads only pass the same work around.
            "num.network.threads": "1",
            "num.io.threads": "2",
        }
        if certificates:
            properties |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(certificates.server_both),
                # The broker is the client of its controller, and of itself.
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(certificates.authority),
            }
        return "".join(f"{name}={value}\n" for name, value in properties.items())


class KafkaLogins(Component):
    """The logins of the processes at the broker, what each may do, and the topics of the sender."""

    name = "kafka-logins"
    needs = ("kafka",)
    is_step = True

    async def prepare(self, tell: Tell) -> None:
        """Set them, unless this storage has them: also one that was made before there were any."""
        passwords = {login: self.home.kafka_password(login) for login in (OWNER, *KAFKA_LOGINS)}
        identity = (self.home.data / "kafka" / "meta.properties").read_text()
        wanted = (sorted(passwords.items()), RIGHTS, PARTNER_TOPICS, identity)
        done = hashlib.sha256(repr(wanted).encode()).hexdigest()
        stamp = self.home.steps / self.name
        if stamp.exists() and stamp.read_text() == done:
            tell("nothing to do")
            return
        tell("setting passwords and rights")
        owner = owner_access(self.settings, self.home)
        try:
            await set_logins(owner, passwords, RIGHTS)
            # As an operator does for every sender: intake creates none.
            await ensure_topics(owner, PARTNER_TOPICS)
        except KafkaError as error:
            raise PlatformError(f"Kafka's logins could not be set: {error}") from error
        write_private(stamp, done)

    def program(self) -> None:
        """A step, not a process."""
        return
