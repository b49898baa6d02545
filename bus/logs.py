"""Logs, set up once a process: JSON lines on stderr, or short lines where a person looks on."""

import logging
import sys

import structlog


def set_up(process: str, *, level: str = "info") -> None:
    """Send every log line to stderr with time, level and process; stdout stays for output."""
    for_people = sys.stderr.isatty()
    threshold = getattr(logging, level.upper())
    render = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    # Libraries log through the standard module: warnings and worse go the same way.
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format=f"%(levelname)s {process} %(message)s"
    )
