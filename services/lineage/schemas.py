"""HTTP bodies of taking events in."""

from typing import Literal, Self

from pydantic import BaseModel, Field


class FaultBody(BaseModel):
    """What is wrong, and where."""

    pointer: str
    detail: str


class RefusedBody(BaseModel):
    """An event of a batch that was refused, by its place in it."""

    index: int
    reason: str
    retriable: Literal[False] = False
    errors: list[FaultBody]


class SummaryBody(BaseModel):
    """How many events of a batch were kept."""

    received: int
    successful: int
    failed: int


class BatchBody(BaseModel):
    """What has become of the events of a batch."""

    status: Literal["success", "partial_success", "failure"]
    summary: SummaryBody
    failed_events: list[RefusedBody] = Field(description="Those that were refused; all others are kept.")

    @classmethod
    def of(cls, received: int, failed: list[RefusedBody]) -> Self:
        """The answer to a batch of `received` events."""
        kept = received - len(failed)
        return cls(
            status="success" if not failed else "partial_success" if kept else "failure",
            summary=SummaryBody(received=received, successful=kept, failed=len(failed)),
            failed_events=failed,
        )
