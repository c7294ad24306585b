"""The sink: Kafka → replica. Each batch, its offsets and its quarantine are one transaction of the target."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from opentelemetry.trace import Tracer

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.health import NotReady
from services.replicator import metrics
from services.replicator.errors import FenceRaised, GapOnPartition
from services.replicator.failpoints import failpoint as process_failpoint
from services.replicator.ports import Clock, Definitions, Failpoint, RecordSource
from services.replicator.progress import Work
from services.replicator.records import Undecodable
from services.replicator.replica.connection import TRANSIENT_ERRORS
from services.replicator.sink.batch import Batch, Polled, pieces, select
from services.replicator.sink.definitions import ALTERED, Schema
from services.replicator.sink.offsets import Progress
from services.replicator.sink.ports import ReplicaStore
from services.replicator.sink.rebalances import Rebalances
from services.replicator.sink.timing import SinkTiming
from services.replicator.sink.transaction import BatchTransaction

_log = get_logger(__name__)


class Sink:
    """Applies what its share of the partitions brings, exactly once each."""

    def __init__(
        self,
        consumer: RecordSource,
        rebalances: Rebalances,
        journal: Definitions,
        tracer: Tracer,
        connect: Callable[[], Awaitable[ReplicaStore]],
        *,
        topic_prefix: str,
        group: str,
        batch_changes: int,
        timing: SinkTiming | None = None,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
        failpoint: Failpoint = process_failpoint,
    ) -> None:
        """Create a sink; `run` must follow.

        Args:
            consumer: started, a member of `group`, with `rebalances` as its listener.
            rebalances: of this consumer alone.
            journal: tells the definitions of the captured tables.
            tracer: of the spans that a batch is seen by.
            connect: opens a session with the application database; called again whenever one failed.
            topic_prefix: stands before a table's name in its topic's, such as `lake.`.
            group: the Kafka consumer group, as spans name it.
            batch_changes: the most changes that one transaction applies, at least 1.
            timing: intervals and sizes, the defaults of `SinkTiming` when None.
            clock: monotonic seconds.
            wall_clock: seconds since 1970.
            failpoint: is called at each crash point.
        """
        self._timing = timing or SinkTiming()
        self._clock = clock
        self._wall_clock = wall_clock
        self._failpoint = failpoint
        self._consumer = consumer
        self._rebalances = rebalances
        rebalances.forget = self.forget
        self._schema = Schema(journal, consumer, topic_prefix, watch_seconds=self._timing.watch_seconds)
        self._tracer = tracer
        self._connect = connect
        self._group = group
        self._batch_changes = batch_changes
        self._piece_changes = min(self._timing.piece_changes, batch_changes)
        self._store: ReplicaStore | None = None
        self._transaction: BatchTransaction | None = None
        self._owned: dict[TopicPartition, Progress] = {}
        self._applied: dict[TopicPartition, int] = {}
        self._polled: deque[Polled] = deque()
        self._polled_since_ns = 0
        self._pending = Batch()
        self._applying: asyncio.Task[None] | None = None
        self._relay_epoch = 0
        self._report_at = 0.0
        self._reporting: asyncio.Task[None] | None = None
        self._silent_since: float | None = None
        self._waiting_ms: int | None = None
        self._looked_at = wall_clock()
        self._turns = Work("the application database has not answered", clock=clock)

    def check(self) -> None:
        """Check that every assigned partition has been taken over, that the loop turns, and that Kafka answers.

        Raises:
            NotReady: saying what is missing.
        """
        if self._turns.silent_seconds > self._timing.stuck_seconds:
            raise NotReady(
                f"the application database has not answered for {self._turns.silent_seconds:.0f} s"
            )
        if (silent := self._silent_seconds) > self._timing.silent_seconds:
            raise NotReady(f"Kafka has not answered for {silent:.0f} s")
        if self._store is None or set(self._owned) != set(self._consumer.assignment()):
            raise NotReady("not every assigned partition has been taken over")

    @property
    def _silent_seconds(self) -> float:
        return 0.0 if self._silent_since is None else self._clock() - self._silent_since

    @property
    def stopped_tables(self) -> Mapping[str, str]:
        """The stopped tables, each with the reason."""
        return self._schema.tables

    def forget(self) -> None:
        """Own nothing any more: the next batch begins by taking over what is assigned."""
        self._owned = {}
        self._applied = {}
        self._polled.clear()
        self._pending = Batch()

    async def run(self, stop: asyncio.Event) -> None:
        """Apply until `stop` is set; transient errors are waited out, and nothing is lost by them.

        Raises:
            ReplicationStopped: a person must look; the message says at what.
            aiokafka.errors.KafkaTimeoutError: the group was silent for too long; begin again with a new consumer.
            aiokafka.errors.UnknownTopicOrPartitionError: a table was captured since; begin again.
            asyncpg.PostgresError: an error of the application database that is not transient.
        """
        backoff = self._timing.shortest_backoff_seconds
        watching = asyncio.create_task(self._schema.watch())
        try:
            while not stop.is_set():
                try:
                    await self._turn()
                    backoff, self._looked_at = self._timing.shortest_backoff_seconds, self._wall_clock()
                    self._turns.acknowledged()
                except FenceRaised as fence:
                    _log.info("partitions were taken over", reason=str(fence))
                    self.forget()
                except (*TRANSIENT_ERRORS, *ALTERED) as error:
                    await self._drop_session()
                    _log.warning(
                        "the application database does not take the batch; it is kept and tried again",
                        error=error_name(error),
                        seconds=backoff,
                    )
                    # Before anything was polled it is not known what waits: something may since the last turn.
                    since = self._looked_at if self._waiting_ms is None else self._waiting_ms / 1000
                    metrics.LAG.set(max(0.0, self._wall_clock() - since))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), backoff)
                    backoff = min(backoff * 2, self._timing.longest_backoff_seconds)
            with contextlib.suppress(FenceRaised, *TRANSIENT_ERRORS, *ALTERED):
                await self._settle()
        finally:
            beside = [task for task in (watching, self._reporting) if task is not None]
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._drop_session()

    async def _drop_session(self) -> None:
        applying, self._applying = self._applying, None
        store, self._store = self._store, None
        if applying is not None:
            applying.cancel()
            await asyncio.gather(applying, return_exceptions=True)
        # Whether the last commit arrived is not known: the offset rows say, when the partitions are taken again.
        self.forget()
        if store is not None:
            store.terminate()

    async def _turn(self) -> None:
        if self._store is None or self._transaction is None:
            self._store = await self._connect()
            await self._schema.begin(self._store)
            self._transaction = BatchTransaction(
                self._store, self._schema, self._tracer, self._group, failpoint=self._failpoint
            )
        await self._keep_up(self._store, self._transaction)
        if not self._polled:
            await self._poll()
        piece = self._polled.popleft() if self._polled else None
        if piece:
            await self._adopt(self._store, piece)
            # What was polled before may have come without a look at the network.
            await asyncio.sleep(0)
        if not piece or self._is_to_be_applied():
            await self._settle()
            self._begin_applying(self._transaction)

    async def _poll(self) -> None:
        """Take all that the client has: of a partition it asks for more only when nothing of it is left with it."""
        self._polled_since_ns = round(self._wall_clock() * 1e9)
        try:
            polled: Polled = await self._consumer.getmany(
                timeout_ms=0 if self._pending.polled else self._timing.poll_millis
            )
        except UnicodeDecodeError:
            await self._poll_one_by_one()
            return
        # A rebalance during the poll makes its records somebody else's, or moves their offset.
        mine = {place: records for place, records in polled.items() if place in self._owned}
        self._polled.extend(pieces(mine, self._piece_changes))

    async def _poll_one_by_one(self) -> None:
        """Get past a record that the client cannot decode: it says nothing of where that is."""
        suspects = []
        for place, progress in list(self._owned.items()):
            if await self._consumer.position(place) > progress.kafka_offset:
                # All of it was decoded, and lost with the error: it is read again.
                self._consumer.seek(place, progress.kafka_offset)
            elif (self._consumer.highwater(place) or 0) > progress.kafka_offset:
                suspects.append(place)
        for place in suspects:
            # A piece of each at most: a partition that gets more and more must not keep the others waiting.
            for _ in range(self._piece_changes):
                try:
                    polled: Polled = await self._consumer.getmany(
                        place, timeout_ms=self._timing.poll_millis, max_records=1
                    )
                except UnicodeDecodeError:
                    offset = await self._consumer.position(place)
                    self._consumer.seek(place, offset + 1)
                    polled = {place: [Undecodable.at(place, offset)]}
                if not polled or place not in self._owned:
                    break
                self._polled.append(polled)

    def _is_to_be_applied(self) -> bool:
        """Whether what was gathered makes a batch: while the server writes one, the next one grows."""
        if (
            self._pending.polled + self._piece_changes > self._batch_changes
            or self._pending.size > self._timing.large_bytes
        ):
            return True
        more_at_hand = self._polled and self._pending.polled < self._timing.least_changes
        return not more_at_hand and (self._applying is None or self._applying.done())

    def _begin_applying(self, transaction: BatchTransaction) -> None:
        batch, self._pending = self._pending, Batch()
        if batch.polled:
            self._waiting_ms = batch.oldest_ms
            self._applying = asyncio.create_task(self._apply(transaction, batch))
        else:
            # While Kafka says nothing, nobody knows what waits there: at least as long as it has been silent.
            metrics.LAG.set(self._silent_seconds)

    async def _apply(self, transaction: BatchTransaction, batch: Batch) -> None:
        await transaction.write(batch)
        self._applied.update({place: state.kafka_offset for place, state in batch.progress.items()})

    async def _settle(self) -> None:
        """Wait until the batch that is being written is committed; the connection is free then.

        Raises whatever its writing raised.
        """
        applying, self._applying = self._applying, None
        if applying is not None:
            await applying
            self._waiting_ms = None

    async def _keep_up(self, store: ReplicaStore, transaction: BatchTransaction) -> None:
        """Take over what was assigned; then and once a second check the stopped tables and the quarantine.

        Also say how far Kafka's group is.
        """
        unowned = not self._rebalances.under_way and self._owned.keys() != self._consumer.assignment()
        if unowned:
            await self._settle()
            await self._take_over_assigned(store)
        if self._clock() >= self._report_at:
            await self._settle()
            self._report_at = self._clock() + self._timing.report_seconds
            await self._schema.keep_up(store, self._owned)
            self._leave_out_held()
            await transaction.count_quarantined()
            if self._reporting is not None and self._reporting.done():
                self._reporting.result()
                self._reporting = None
            self._reporting = self._reporting or asyncio.create_task(self._report())
            self._check_group()

    async def _take_over_assigned(self, store: ReplicaStore) -> None:
        for place in sorted(set(self._consumer.assignment()) - set(self._owned)):
            progress = await store.take_over(place)
            # It may have been given to another sink meanwhile.
            if place in self._consumer.assignment():
                self._consumer.seek(place, progress.kafka_offset)
                self._owned[place] = progress
                self._applied[place] = progress.kafka_offset
                self._schema.let_go(place)
                # Before anything is read: a rebalance must not move a stopped table.
                self._report_at = 0.0

    async def _adopt(self, store: ReplicaStore, polled: Polled) -> None:
        """Select from what was polled, for the next batch."""
        # A rebalance may make the sink forget what it owns at any await; the fence then refuses the batch.
        owned = {place: self._owned[place] for place in polled}
        try:
            batch = select(polled, owned, self._schema.standing, self._relay_epoch)
        except GapOnPartition:
            # Unless another relay has begun since, and sends again what its predecessor could not.
            await self._settle()
            self._relay_epoch = await store.relay_epoch()
            batch = select(polled, owned, self._schema.standing, self._relay_epoch)
        if not all(map(self._schema.knows, {event.source.fingerprint for event in batch.events})):
            await self._settle()
            await self._schema.learn(store)
            batch = select(polled, owned, self._schema.standing, self._relay_epoch)
        for place, fingerprint in batch.held.items():
            self._schema.hold(place, fingerprint, batch.progress[place].kafka_offset)
            self._leave_out_held()
        if not owned.keys() <= self._owned.keys():
            return
        # What it makes of the partitions is taken for done: when it fails, all are forgotten, and taken over from
        # where they are.
        self._owned.update(batch.progress)
        batch.polled_since_ns = self._polled_since_ns
        self._pending.add(batch, self._schema.writers)

    def _leave_out_held(self) -> None:
        """Drop what was polled of partitions that wait: it is read again when they go on."""
        if held := self._schema.held:
            kept = [
                {place: records for place, records in piece.items() if place not in held}
                for piece in self._polled
            ]
            self._polled = deque(filter(None, kept))

    async def _report(self) -> None:
        """Say once a second how far Kafka's group is; for tools: what is applied stands in the application database."""
        if not self._owned:
            return
        reached = {place: self._applied[place] for place in self._owned}
        try:
            await asyncio.wait_for(self._consumer.commit(reached), self._timing.commit_seconds)
        except (KafkaError, TimeoutError) as error:
            _log.info("Kafka's mirror of the offsets was not written", error=type(error).__name__)
            self._silent_since = self._silent_since or self._clock()
        else:
            self._silent_since = None

    def _check_group(self) -> None:
        """Notice a client that has lost its group without a word: it would share no partitions out, or keep others'.

        Raises:
            aiokafka.errors.KafkaTimeoutError: it has been silent for too long.
        """
        if self._rebalances.under_way:
            self._silent_since = self._silent_since or self._clock()
        elif not self._owned:
            self._silent_since = None
        if self._silent_since is None:
            return
        heard_at = max(self._silent_since, self._rebalances.assigned_at)
        if self._clock() - heard_at > self._timing.lost_seconds:
            raise KafkaTimeoutError(f"the group has not been heard of for {self._timing.lost_seconds:.0f} s")
