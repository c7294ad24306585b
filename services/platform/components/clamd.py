"""ClamAV's daemon, which scans documents: installed, or else unpacked from its packages. Part of the profile `scan`."""

from __future__ import annotations

import asyncio
import platform
import shutil
from pathlib import Path

from services.chassis.files import write_private
from services.platform.components.component import Component, Program, Tell
from services.platform.components.debian import unpack
from services.platform.errors import NotReadyYet
from services.platform.readiness import PROBE_SECONDS
from services.platform.settings import HOST

PACKAGES = ("clamav-daemon", "libclamav*", "libmspack0")
TEST_TEXT = b"CREDITMESH-TEST-SIGNATURE-7f3a9c51"
"""What our own signature finds, and nothing else has. The signatures of real malware come from the operator."""
SIGNATURE_FILE = "creditmesh.ndb"
LARGEST_MEGABYTES = 1100
"""More than the largest document that a setting allows."""


class Clamd(Component):
    """The scanner of documents."""

    name = "clamd"
    ports = ("clamd_port",)
    required = False

    async def prepare(self, tell: Tell) -> None:
        """Have the program, our signature and the configuration."""
        tell("looking for the program")
        await asyncio.to_thread(self._program)
        self.signatures.mkdir(mode=0o700, exist_ok=True)
        # Name, any type of file, any place, the bytes (ClamAV's extended signatures).
        write_private(self.signatures / SIGNATURE_FILE, f"Creditmesh.Test:0:*:{TEST_TEXT.hex()}\n")
        write_private(self._configuration, "\n".join(self._lines()) + "\n")

    def program(self) -> Program:
        """Its process."""
        binary, libraries = self._program()
        environment = {} if libraries is None else {"LD_LIBRARY_PATH": str(libraries)}
        command = (str(binary), f"--config-file={self._configuration}")
        return Program(self.name, command, self.home.run, environment)

    async def ready(self) -> None:
        """It answers PING, which it does when its signatures are loaded."""
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, self.settings.clamd_port)
            try:
                writer.write(b"zPING\0")
                answer = await reader.read(16)
            finally:
                writer.close()
                await writer.wait_closed()
        if answer != b"PONG\0":
            raise NotReadyYet("it does not answer PING")

    @property
    def signatures(self) -> Path:
        """The folder of its signatures; it also loads what an operator puts there, such as ClamAV's main.cvd."""
        return self.home.data / "clamd"

    @property
    def _configuration(self) -> Path:
        return self.home.run / "clamd.conf"

    def _program(self) -> tuple[Path, Path | None]:
        """The program, and the folder of its libraries unless it is installed; raises NotAvailableError."""
        installed = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
        if installed is not None:
            return Path(installed), None
        folder = self.settings.tools / "clamd"
        if not folder.exists():
            unpack("clamd", PACKAGES, folder)
        return folder / "usr" / "sbin" / "clamd", folder / "usr" / "lib" / f"{platform.machine()}-linux-gnu"

    def _lines(self) -> list[str]:
        return [
            "Foreground yes",
            f"TCPAddr {HOST}",
            f"TCPSocket {self.settings.clamd_port}",
            f"DatabaseDirectory {self.signatures}",
            f"StreamMaxLength {LARGEST_MEGABYTES}M",
            f"MaxFileSize {LARGEST_MEGABYTES}M",
            f"MaxScanSize {LARGEST_MEGABYTES}M",
            # Without it, what is too large or too deep to look at counts as clean.
            "AlertExceedsMax yes",
            "MaxThreads 4",
            # It keeps what it scans in a file for that long: where nobody else reads.
            f"TemporaryDirectory {self.home.run}",
        ]
