"""Structured logs: one JSON object for each line on stdout, with its trace id and without personal data."""

import logging
import sys
from typing import Any, TextIO

import orjson
import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from services.chassis.telemetry.redaction import redact

# Keys that structlog itself adds to an event; never redacted by key.
_OWN_KEYS = frozenset({"timestamp", "level", "logger", "service", "trace_id", "span_id"})


def configure_logging(service: str, level: str = "INFO") -> None:
    """Send the logs of structlog and of the standard library through one chain to stdout.

    `service` is written in each line; `level` is DEBUG, INFO, WARNING or ERROR.
    """

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        add_service,
        add_trace,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _StdoutHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact_event,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    for old in [
        one for one in root.handlers if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter)
    ]:
        root.removeHandler(old)
    root.addHandler(handler)
    set_level(level)


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stdout`, also after it was replaced."""

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Ignore the base class's assignment; the stream stays stdout."""


def set_level(level: str) -> None:
    """Let messages of `level` and above through; chatty libraries start at WARNING."""
    logging.getLogger().setLevel(level)
    for chatty in ("aiokafka", "httpx", "httpcore", "asyncio", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger called `name` (a module's `__name__`)."""
    return structlog.stdlib.get_logger(name)


def add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: add the ids of the current span, so that a line leads to its trace."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def redact_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: remove names, national ids, e-mails, tokens and passwords, also from exceptions' text."""
    return {key: value if key in _OWN_KEYS else redact(key, value) for key, value in event.items()}


def _dumps(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
