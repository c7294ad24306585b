"""The platform as one object: bring components up in the order of their needs, look, take them down."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import psutil

from services.chassis.kafka_access import KafkaAccess
from services.platform.components.airflow import airflow
from services.platform.components.clamd import Clamd
from services.platform.components.command_environments import CommandEnvironments
from services.platform.components.component import Component
from services.platform.components.kafka import Kafka, KafkaLogins, access
from services.platform.components.mesh import mesh
from services.platform.components.postgres import Databases, Postgres, database_url
from services.platform.components.prometheus import Prometheus
from services.platform.components.traces.zipkin import Receiver, Zipkin
from services.platform.errors import NotAvailableError, NotReadyYet, PlatformError
from services.platform.home import OWNER, Home
from services.platform.movement import Movement
from services.platform.settings import FOR_READERS, HOST, PlatformSettings
from services.platform.supervision import ALIVE, ProcessInfo, Supervisor, last_words, tail

PROBE_INTERVAL = 0.2
SUPERVISOR_INTERVAL = 0.5
FAILED_STARTS = 4
LOOP_SECONDS = 60.0
LOOP_ENDS = 2
"""A process that has ended so often by itself in that time is not ready between two of its ends."""

OnChange = Callable[[str, str], None]
"""Called with every change while the platform starts: component and activity (the last one is `ready`)."""


@dataclass(frozen=True, slots=True)
class Status:
    """How one component stands; `memory` in bytes, `uptime` in seconds."""

    name: str
    state: str
    required: bool
    pid: int | None = None
    uptime: float | None = None
    memory: int | None = None
    ready: bool = False
    detail: str = ""


def everything(settings: PlatformSettings, home: Home) -> list[Component]:
    """The stores, the scanner where it is wanted, the mesh, then Airflow."""
    stores = (Postgres, Kafka, KafkaLogins, Zipkin, Receiver, Prometheus, Databases)
    return [
        *(store(settings, home) for store in stores),
        *([Clamd(settings, home)] if settings.scan else []),
        *(part for part in mesh(settings, home) if not (settings.core and part.name in FOR_READERS)),
        CommandEnvironments(settings, home),
        *airflow(settings, home),
    ]


class Platform:
    """The embedded platform of one home. A second object on the same home sees the same platform."""

    def __init__(
        self, settings: PlatformSettings | None = None, compose: Callable[..., list[Component]] = everything
    ) -> None:
        """`compose` gets the settings and the home and gives the components, each after those it needs."""
        self.settings = settings or PlatformSettings()
        self.home = Home(self.settings.home.resolve())
        self.supervisor = Supervisor(self.home)
        self.components: Mapping[str, Component] = {
            component.name: component for component in compose(self.settings, self.home)
        }
        # Of what is being started: whether it gets on.
        self._movements: dict[str, Movement] = {}

    def database_url(self, database: str, login: str) -> str:
        """SQLAlchemy URL of a login of the embedded PostgreSQL, password included."""
        return database_url(self.settings.postgres_port, database, login, self.home.database_password(login))

    def kafka_access(self, login: str = OWNER) -> KafkaAccess:
        """How a login enters the embedded broker; the owner may do everything."""
        return access(self.settings, self.home, login)

    async def up(
        self, names: Iterable[str] | None = None, on_change: OnChange = lambda _name, _what: None
    ) -> None:
        """Bring components, and what they need, up and wait until each is ready; all of them by default.

        Raises:
            PlatformError: one could not be prepared or started, or does nothing and is not ready; the others run on.
        """
        wanted = self.closure(self.components if names is None else names)
        with self.home.locked():
            self._movements.clear()
            if self.settings.certificates is not None:
                await asyncio.to_thread(self.settings.certificates.ensure)
            await asyncio.to_thread(self.supervisor.start)
            done = {name: asyncio.Event() for name in wanted}
            try:
                async with asyncio.TaskGroup() as tasks:
                    for name in wanted:
                        tasks.create_task(self._bring_up(self.components[name], done, on_change), name=name)
            except ExceptionGroup as failures:
                # Not `except*`: before Python 3.11.4 what is raised in it comes out in a group of its own.
                if failures.split(PlatformError)[1] is not None:
                    raise
                raise PlatformError("\n".join(str(failure) for failure in failures.exceptions)) from failures

    async def down(self) -> None:
        """Stop everything, each as soon as all that need it have ended, then the supervisor."""
        with self.home.locked():
            running = {name for name, info in self.supervisor.all().items() if info.state in ALIVE}
            needs = {name: set(self.closure([name])) - {name} for name in running}
            stopped = {name: asyncio.Event() for name in running}

            async def stop(name: str) -> None:
                for other in running - {name}:
                    if name in needs[other] and other not in needs[name]:
                        await stopped[other].wait()
                await asyncio.to_thread(self.supervisor.stop, name)
                stopped[name].set()

            async with asyncio.TaskGroup() as tasks:
                for name in running:
                    tasks.create_task(stop(name), name=name)
            await asyncio.to_thread(self.supervisor.shutdown)

    async def reset(self) -> None:
        """Stop everything and remove the state folder."""
        if self.home.root.exists():
            await self.down()
            self.supervisor.discard_socket()
            shutil.rmtree(self.home.root)

    async def status(self) -> list[Status]:
        """How every program stands, in the order of starting."""
        infos = await asyncio.to_thread(self.supervisor.all)
        programs = [component for component in self.components.values() if not component.is_step]
        return await asyncio.gather(
            *(self._status(component, infos.get(component.name)) for component in programs)
        )

    async def _status(self, component: Component, info: ProcessInfo | None) -> Status:
        status = Status(component.name, "STOPPED", required=component.required)
        if info is None:
            return status
        status = replace(status, state=info.state)
        if info.state not in ALIVE:
            return replace(status, detail=last_words(self.home.logs / f"{component.name}.log"))
        if info.pid:
            status = replace(
                status, pid=info.pid, uptime=time.time() - info.started, memory=_memory(info.pid)
            )
        ends = await asyncio.to_thread(self.supervisor.unexpected_ends, component.name, LOOP_SECONDS)
        if ends >= LOOP_ENDS:
            log = self.home.logs / f"{component.name}.log"
            again = f"it ended {ends} times in the last {LOOP_SECONDS:.0f} s and is started again and again"
            return replace(status, detail=f"{again}: {last_words(log)}")
        try:
            await component.ready_since(info.started)
        except (NotReadyYet, OSError, PlatformError) as error:
            return replace(status, detail=str(error) or type(error).__name__)
        return replace(status, ready=True)

    def closure(self, names: Iterable[str]) -> list[str]:
        """The components and all that they need, in the order in which they were composed."""
        wanted: set[str] = set()
        rest = list(names)
        while rest:
            name = rest.pop()
            if name not in self.components:
                raise PlatformError(
                    f"there is no component {name!r}; there are: {', '.join(self.components)}"
                )
            if name not in wanted:
                wanted.add(name)
                rest.extend(self.components[name].needs + self.components[name].beside)
        return [name for name in self.components if name in wanted]

    async def _bring_up(
        self, component: Component, done: Mapping[str, asyncio.Event], on_change: OnChange
    ) -> None:
        on_change(component.name, "waiting")
        for need in component.needs:
            await done[need].wait()
        on_change(component.name, "preparing")
        try:
            await component.prepare(lambda what: on_change(component.name, what))
        except NotAvailableError as error:
            on_change(component.name, f"not available: {error}")
            done[component.name].set()
            return
        program = component.program()
        if program is not None:
            info = (await asyncio.to_thread(self.supervisor.all)).get(component.name)
            if info is None or info.state not in ALIVE:
                self._claim_ports(component)
            on_change(component.name, "starting")
            await asyncio.to_thread(self.supervisor.run, program)
            await self._until_ready(component, done, on_change)
        on_change(component.name, "ready")
        done[component.name].set()

    async def _until_ready(
        self, component: Component, done: Mapping[str, asyncio.Event], on_change: OnChange
    ) -> None:
        log = self.home.logs / f"{component.name}.log"
        movement = self._movements[component.name] = Movement(log)
        ends: set[int] = set()
        told = ""
        look_at = 0.0
        info = (await asyncio.to_thread(self.supervisor.all))[component.name]
        while True:
            try:
                await component.ready_since(info.started)
            except (NotReadyYet, OSError) as error:
                why = str(error) or type(error).__name__
            else:
                return
            if time.monotonic() > look_at:
                look_at = time.monotonic() + SUPERVISOR_INTERVAL
                info = (await asyncio.to_thread(self.supervisor.all))[component.name]
                await asyncio.to_thread(movement.look, info.pid, info.state, why)
                if info.stopped and info.state != "RUNNING":
                    ends.add(info.stopped)
                if info.state == "FATAL" or len(ends) >= FAILED_STARTS:
                    raise PlatformError(
                        f"{component.name} ends as soon as it is started; the end of {log}:\n{tail(log)}"
                    )
                if why != told:
                    told = why
                    on_change(component.name, f"not ready yet: {why}")
                quiet = self._quiet_seconds(component.name, done)
                if quiet > self.settings.start_timeout:
                    raise PlatformError(
                        f"{component.name} is not ready ({why}) and has done nothing for {quiet:.0f} s; "
                        f"the end of {log}:\n{tail(log)}"
                    )
            await asyncio.sleep(PROBE_INTERVAL)

    def _quiet_seconds(self, name: str, done: Mapping[str, asyncio.Event]) -> float:
        """For how long neither a component has moved nor anything that it waits for."""
        waits_for = [other for other in self.closure([name]) if other != name and not done[other].is_set()]
        if any(other not in self._movements for other in waits_for):
            # It is being prepared, or waits itself.
            return 0.0
        return min(self._movements[each].quiet_seconds for each in (name, *waits_for))

    def _claim_ports(self, component: Component) -> None:
        """Find out before the start whether its ports are free.

        Raises:
            PlatformError: a port is in use; the message names it, its process if visible, and the setting to change.
        """
        for setting in component.ports:
            port = self.settings.port_of(setting)
            try:
                socket.create_server((HOST, port)).close()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                raise PlatformError(
                    f"port {port} of {component.name} is taken{_holder(port)}; "
                    f"free it, or set {self.settings.variable(setting)} to another port"
                ) from error


def _memory(pid: int) -> int | None:
    """Resident bytes of a process and its children; None when it is gone."""
    try:
        process = psutil.Process(pid)
        return sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return None


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            try:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.NoSuchProcess:
                return ""
    return ""
