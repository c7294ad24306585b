"""Files in a folder or an S3 bucket: every version of a file is read once."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import orjson
import pyarrow as pa  # type: ignore[import-untyped] # it ships no types
from pyarrow import csv, fs, parquet

from services.loader.connectors.interface import Chunk, Dataset, Mark, Window
from services.loader.connectors.lines import Lines, paged, parsed
from services.loader.errors import SourceChanged, SourceUnreachable
from services.loader.flows.model import FilesFlow, Target

PAGE_ROWS = 5_000
BLOCK_BYTES = 1024 * 1024


class Version(NamedTuple):
    """A file as it is: where, how long, and when written (nanoseconds).

    S3 tells whole seconds: a file that is written twice within one, as long as before, is one version.
    """

    path: str
    size: int
    written: int


class FilesConnector:
    """Reads what is new or was changed since the watermark.

    A watermark is the newest version of each path and how many versions were ever read. The number of a version is the
    first half of its rows' positions, the row's place in the file the other. A file that goes leaves its rows, unless
    the flow is `complete`.
    """

    def __init__(self, flow: FilesFlow) -> None:
        """Credentials of S3 are read from the environment, as AWS's own tools do."""
        self._flow = flow
        self._lines = {target.source: Lines(flow, target, "files") for target in flow.targets}
        self.compares = self.complete = flow.source.complete
        self.may_be_empty = flow.source.may_be_empty

    def dataset(self, target: Target) -> Dataset:
        """Name the bucket or the machine's files, and the path."""
        if target.source.startswith("s3://"):
            bucket, _, path = target.source.removeprefix("s3://").partition("/")
            return Dataset(f"s3://{bucket}", path)
        return Dataset("file", target.source)

    async def next_window(self, mark: Mark, most_rows: int) -> Window | None:
        """Close a window over the current versions of the files; a file is never split, however many rows it has."""
        del most_rows
        known = _position(mark.position)
        found = [version for versions in (await self._listed()).values() for version in versions]
        new = [version for version in found if known["files"].get(version.path) != list(version[1:])]
        gone = self.complete and known["files"].keys() - {version.path for version in found}
        if not new and not gone:
            return None
        # What is complete is read wholly, whichever of its files has changed.
        read = found if self.complete else new
        number = known["versions"]
        files = {} if self.complete else dict(known["files"])
        window: dict[str, list[Any]] = {}
        for number, version in enumerate(read, start=known["versions"] + 1):
            files[version.path] = list(version[1:])
            window[version.path] = [*version[1:], number]
        position = {"versions": number, "files": files, "window": window}
        return Window(mark.position, orjson.dumps(position, option=orjson.OPT_SORT_KEYS).decode())

    async def read(self, window: Window) -> AsyncIterator[Chunk]:
        """Read the window's versions, each in pages.

        Raises:
            SourceChanged: a file is no longer the version that the window has.
        """
        versions = _position(window.position_to)["window"]
        listed = await self._listed()
        for target in self._flow.targets:
            there = {version.path: version for version in listed[target.source]}
            for path, (size, written, number) in sorted(versions.items(), key=lambda item: item[1][2]):
                if not self._matches(target, path):
                    continue
                if there.get(path) != Version(path, size, written):
                    raise SourceChanged(
                        f"flow {self._flow.name}: {path} is no longer the version of {size} bytes that this window "
                        "has. A run loads what is there now as a version of its own"
                    )
                pages = self._pages(target, path, number)
                while (page := await asyncio.to_thread(next, pages, None)) is not None:
                    yield {target.table: page}

    def _pages(self, target: Target, path: str, number: int) -> Iterator[list[bytes]]:
        system, _ = self._system(target)
        lines = self._lines[target.source]
        with self._reaching(path):
            rows = _READERS[self._flow.source.format](system, path, self._flow.source.delimiter)
            yield from paged(
                (
                    lines.row(
                        values,
                        major=number,
                        minor=place,
                        operation="r",
                        place=f"{PurePosixPath(path).name}, row {place}",
                    )
                    for place, values in enumerate(rows, start=1)
                ),
                PAGE_ROWS,
            )

    async def waiting(self, mark: Mark) -> Mapping[str, int | None]:
        """Say which targets have new versions; only reading them tells how many rows."""
        known = _position(mark.position)["files"]
        return {
            target.table: None
            if any(known.get(version.path) != list(version[1:]) for version in versions)
            else 0
            for target, versions in zip(self._flow.targets, (await self._listed()).values(), strict=True)
        }

    async def loaded(self, position: str) -> None:
        """Do nothing: the watermark is the only memory."""

    async def close(self) -> None:
        """Do nothing."""

    async def _listed(self) -> dict[str, list[Version]]:
        """List the versions that are there, by target's source, paths in order."""
        return {target.source: await asyncio.to_thread(self._list, target) for target in self._flow.targets}

    def _list(self, target: Target) -> list[Version]:
        system, pattern = self._system(target)
        folder = pattern.split("*", 1)[0].rpartition("/")[0]
        with self._reaching(target.source):
            found = system.get_file_info(fs.FileSelector(folder, recursive=True))
        return sorted(
            Version(info.path, info.size, info.mtime_ns)
            for info in found
            if info.type == fs.FileType.File and self._matches(target, info.path)
        )

    def _matches(self, target: Target, path: str) -> bool:
        return fnmatchcase(path, self._system(target)[1])

    def _system(self, target: Target) -> tuple[fs.FileSystem, str]:
        if not target.source.startswith("s3://"):
            return fs.LocalFileSystem(), target.source
        options: dict[str, Any] = {}
        if (variable := self._flow.source.endpoint_variable) is not None:
            endpoint = os.environ.get(variable, "")
            if not endpoint:
                raise SourceUnreachable(
                    f"flow {self._flow.name}: {variable} is not set; it names the S3 endpoint"
                )
            scheme, _, rest = endpoint.rpartition("://")
            options = {
                "endpoint_override": rest,
                "scheme": scheme or "https",
                "region": os.environ.get("AWS_REGION", "us-east-1"),
            }
        return fs.S3FileSystem(**options), target.source.removeprefix("s3://")

    @contextmanager
    def _reaching(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise SourceUnreachable(
                f"flow {self._flow.name}: there is no {what}; create the folder or bucket, or correct targets[].source"
            ) from error
        except OSError as error:
            raise SourceUnreachable(
                f"flow {self._flow.name}: {what} cannot be read ({type(error).__name__}); is the storage up, and are "
                "its credentials right?"
            ) from error
        except (pa.ArrowInvalid, ValueError) as error:
            said = (str(error).splitlines() or [""])[0]
            raise SourceChanged(
                f"flow {self._flow.name}: {what} is not {self._flow.source.format}: {said}. Nothing of this window was "
                "loaded: have the file put right, it then is a new version"
            ) from error


def _csv(system: fs.FileSystem, path: str, delimiter: str) -> Iterator[dict[str, Any]]:
    """Every value as its text; nothing between two delimiters is NULL, two quotes are the empty text."""
    with system.open_input_stream(path) as stream:
        header = csv.open_csv(
            stream,
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter=delimiter),
        ).schema.names
    with system.open_input_stream(path) as stream:
        reader = csv.open_csv(
            stream,
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        for batch in reader:
            yield from batch.to_pylist()


def _ndjson(system: fs.FileSystem, path: str, delimiter: str) -> Iterator[dict[str, Any]]:
    del delimiter
    with system.open_input_stream(path) as stream:
        rest = b""
        number = 0
        while block := stream.read(BLOCK_BYTES):
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                number += 1
                yield from _object(line, number)
        yield from _object(rest, number + 1)


def _object(line: bytes, number: int) -> Iterator[dict[str, Any]]:
    if not line.strip():
        return
    try:
        values = parsed(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"line {number} is no object")  # noqa: TRY004 - a value of the source, not of a caller
    yield values


def _parquet(system: fs.FileSystem, path: str, delimiter: str) -> Iterator[dict[str, Any]]:
    del delimiter
    with system.open_input_file(path) as file:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=PAGE_ROWS):
            yield from batch.to_pylist()


_READERS = {"csv": _csv, "ndjson": _ndjson, "parquet": _parquet}


def _position(text: str | None) -> dict[str, Any]:
    return {"versions": 0, "files": {}, "window": {}} if text is None else dict(orjson.loads(text))
