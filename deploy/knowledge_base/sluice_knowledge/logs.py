"""Log lines: a sentence for people, `action=` and fields for machines, on standard error."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from sluice_schemas.printable import printable


def configure() -> None:
    """For this process. Nothing of a document or a secret ever goes in."""
    logging.basicConfig(level="INFO", format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True)
    for name in ("httpx", "httpcore"):
        # They tell URLs, and those of links are signed.
        logging.getLogger(name).setLevel(logging.WARNING)
    # It tells tracebacks, and those may quote documents; `faults` says where a request failed.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=True),
            _one_line,
            structlog.dev.ConsoleRenderer()
            if sys.stderr.isatty()
            else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Values come from senders: none may end a line, forge the next one or steer a terminal.
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
