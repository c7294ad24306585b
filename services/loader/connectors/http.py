"""An HTTP API that answers JSON in pages; its current rows are compared with the landed ones."""

import os
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import stamina

from services.loader.connectors.interface import Chunk, Dataset, Mark, Window
from services.loader.connectors.lines import Lines, parsed
from services.loader.errors import SourceChanged, SourceUnreachable
from services.loader.flows.model import HttpFlow, NextLink, Target

TRIED_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
MOST_PAGES = 1_000_000


class HttpConnector:
    """Reads all pages of every target in each window.

    A window is the time of asking: an API tells what is, so a page that is asked for again may tell another thing.
    """

    compares = True

    def __init__(self, flow: HttpFlow) -> None:
        """Headers are read from the environment; nothing is asked before it is needed."""
        self._flow = flow
        self.complete = flow.source.complete
        self.may_be_empty = flow.source.may_be_empty
        self._lines = {target.source: Lines(flow, target, "http") for target in flow.targets}

    def dataset(self, target: Target) -> Dataset:
        """Name the server and the path."""
        parts = urlsplit(self._url(target))
        return Dataset(f"{parts.scheme}://{parts.netloc}", parts.path)

    async def next_window(self, mark: Mark, most_rows: int) -> Window | None:
        """Close a window now; its rows are known only after reading."""
        del most_rows
        return Window(mark.position, datetime.now(UTC).isoformat())

    async def read(self, window: Window) -> AsyncIterator[Chunk]:
        """Follow the pages of every target."""
        del window
        source = self._flow.source
        headers = {name: self._secret(variable) for name, variable in source.headers.items()}
        async with httpx.AsyncClient(headers=headers, timeout=source.timeout_seconds) as client:
            for target in self._flow.targets:
                read = 0
                async for url, items in self._pages(client, target):
                    lines = []
                    for place, values in enumerate(items, start=read + 1):
                        if not isinstance(values, dict):
                            raise self._unlike(url, f"item {place} is no object")
                        lines.append(
                            self._lines[target.source].row(
                                values, major=0, minor=place, operation="r", place=f"item {place}"
                            )
                        )
                    read += len(items)
                    if lines:
                        yield {target.table: lines}

    async def _pages(self, client: httpx.AsyncClient, target: Target) -> AsyncIterator[tuple[str, list[Any]]]:
        pages = self._flow.source.pages
        url, seen = self._url(target), set[str]()
        before: list[Any] = []
        for number in range(MOST_PAGES):
            if isinstance(pages, NextLink):
                answer = await self._ask(client, url, {})
            else:
                answer = await self._ask(client, url, {pages.parameter: pages.first + number})
            items = _at(answer, self._flow.source.items)
            if not isinstance(items, list):
                raise self._unlike(url, f"there is no array at {self._flow.source.items!r}")
            if not isinstance(pages, NextLink) and items and items == before:
                raise self._unlike(
                    url,
                    f"page {pages.first + number} is the page before it once more; does the server know the parameter "
                    f"{pages.parameter!r}?",
                )
            before = items
            yield url, items
            if not isinstance(pages, NextLink):
                if not items:
                    return
                continue
            seen.add(url)
            following = _at(answer, pages.field)
            if not following:
                return
            url = urljoin(url, str(following))
            if url in seen:
                raise self._unlike(url, "its next page is one that was read already")
            if urlsplit(url).netloc != urlsplit(self._flow.source.url).netloc:
                # The headers may hold a secret that is for this server alone.
                raise self._unlike(url, "its next page is on another server")
        raise self._unlike(url, f"it has more than {MOST_PAGES:,} pages")

    async def _ask(self, client: httpx.AsyncClient, url: str, parameters: Mapping[str, int]) -> Any:
        @stamina.retry(
            on=_worth_another_try, attempts=self._flow.source.attempts, timeout=None, wait_initial=0.2
        )
        async def ask() -> httpx.Response:
            answer = await client.get(url, params=dict(parameters) or None)
            return answer.raise_for_status()

        try:
            response = await ask()
        except httpx.HTTPStatusError as error:
            raise SourceUnreachable(
                f"flow {self._flow.name}: {_shown(url)} answered {error.response.status_code}, "
                f"{self._flow.source.attempts} tries at most; is source.url right, and are its headers?"
            ) from None
        except (httpx.HTTPError, OSError) as error:
            raise SourceUnreachable(
                f"flow {self._flow.name}: {_shown(url)} does not answer ({type(error).__name__}), "
                f"{self._flow.source.attempts} tries; is it up?"
            ) from None
        try:
            return parsed(response.content)
        except ValueError:
            raise self._unlike(url, "it is no JSON") from None

    async def waiting(self, mark: Mark) -> Mapping[str, int | None]:
        """Say that only reading tells."""
        del mark
        return {target.table: None for target in self._flow.targets}

    async def loaded(self, position: str) -> None:
        """Do nothing: the watermark is the only memory."""

    async def close(self) -> None:
        """Do nothing: each reading has a client of its own."""

    def _url(self, target: Target) -> str:
        return f"{self._flow.source.url.rstrip('/')}/{target.source.lstrip('/')}"

    def _secret(self, variable: str) -> str:
        if value := os.environ.get(variable):
            return value
        raise SourceUnreachable(f"flow {self._flow.name}: {variable} is not set; source.headers names it")

    def _unlike(self, url: str, what: str) -> SourceChanged:
        return SourceChanged(
            f"flow {self._flow.name}: the answer of {_shown(url)} is not what the flow file says: {what}. "
            "Nothing of this window was loaded: see source.items and source.pages"
        )


def _worth_another_try(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in TRIED_AGAIN
    return isinstance(error, httpx.TransportError)


def _at(answer: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def _shown(url: str) -> str:
    """Leave the query out: it may hold names or keys."""
    return url.partition("?")[0]
