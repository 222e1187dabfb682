"""Log lines: a sentence for people, `action=` and fields for machines, on standard error."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from sluice_schemas.printable import printable


def configure(level: str) -> None:
    """Sets up structlog and the standard library's loggers for one process. Document text never goes in at INFO."""
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True)
    for chatty in (
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "celery.worker.strategy",
        "celery.app.trace",
        "amqp",
        "kombu",
    ):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=True),
            _one_line,
            renderer
            if sys.stderr.isatty()
            else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Values may come from Redis or a receiver: none may end a line, forge the next one or steer a terminal.
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
