"""What an engine must be able to do for the warehouse's landing: schema `dl`, and schemas of the transformer's."""

from collections.abc import AsyncIterable, Sequence
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

TRANSFORMED = ("build", "ods", "dw", "dm", "ap")
"""Schemas that the transformer owns and fills; in `build` is what its builds note about themselves."""

LOADER, TRANSFORMER, ANALYST = "loader", "transformer", "analyst"
"""Logins of the warehouse beside its owner's; the analyst's grants are given by the transformer."""


class Landing(Protocol):
    """One engine. Statements are returned as text, one batch each, without a closing semicolon."""

    def create_table(self, name: str) -> Sequence[str]:
        """Create the landing table `dl.<name>` where it is missing."""

    def create_schemas(self) -> Sequence[str]:
        """Create the transformer's schemas where they are missing, and let it make others."""

    def grants(self, landings: Sequence[str]) -> Sequence[str]:
        """Let the loader write the bookkeeping and `landings` and read `ods` and `build`, the transformer read `dl`."""

    def lock_watermark(self) -> sa.TextClause:
        """Lock the row of `:flow` until the transaction ends; its row is (position, batch_id)."""

    def draw_batch_id(self) -> str:
        """Draw the next batch id."""

    def create_stage(self, table: str) -> Sequence[str]:
        """Create an empty table like `dl.<table>` that only this transaction sees."""

    async def write(
        self,
        connection: AsyncConnection,
        table: str,
        batch_id: int,
        lines: Sequence[bytes],
        *,
        stage: bool = False,
    ) -> int:
        """Append lines (see COLUMNS) to `dl.<table>`, or its stage, under a batch id.

        Returns how many rows the server took.

        Raises:
            sqlalchemy.exc.DBAPIError: it took none.
        """

    def count_alive(self, table: str) -> sa.TextClause:
        """Count the keys of `dl.<table>` whose newest operation is no delete."""

    def land_differences(self, table: str, *, complete: bool) -> sa.TextClause:
        """Land under `:batch_id` what of the stage differs from the newest image of its key, as `c` or `u`.

        Positions are (batch id, place). A key that the stage has twice counts as its last line says. With `complete`
        keys that the stage does not have land as `d`.
        """

    def delete_batch(self, table: str) -> sa.TextClause:
        """Delete what `:batch_id` has left in `dl.<table>`."""

    def read(self, connection: AsyncConnection, table: str, batch_id: int) -> AsyncIterable[Sequence[bytes]]:
        """Read what a batch has left in `dl.<table>` as lines, in order of position."""
