"""What this process says to its log: one JSON object a line, whoever speaks, and no secret in any of them.

structlog, Python's own logging (the SDK, httpx, asyncio), the SDK's Rust core, warnings and what nobody caught: all
become lines of one stream on stderr. On a terminal they are for reading.
"""

import logging
import sys
import threading
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import WrappedLogger
from temporalio.exceptions import ApplicationError
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from contracts.redaction import redacted

CORE = "temporalio.core"


def speak() -> None:
    """From now on. Once a process, before anything else says a word."""
    readable = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer(),
                _without_secrets,
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("ferry").setLevel(logging.INFO)
    logging.getLogger("temporalio.activity").addFilter(_not_told_yet)
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=_OurLogger(),
        cache_logger_on_first_use=False,
    )
    sys.excepthook = _uncaught
    threading.excepthook = lambda told: _uncaught(told.exc_type, told.exc_value or told.exc_type(), told.exc_traceback)


def core_runtime() -> Runtime:
    """The SDK's Rust core, whose lines come into the same stream. One a process."""
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(logger=logging.getLogger(CORE)),
            )
        )
    )


class _OurLogger:
    """Every ``structlog.get_logger()`` is the logger ``ferry``."""

    def __call__(self, *_: Any) -> WrappedLogger:
        return logging.getLogger("ferry")


def _without_secrets(_: WrappedLogger, __: str, line: Any) -> Any:
    """Last, on the line as it is written: a secret is found in the spelling that the line has it in."""
    return redacted(line)


def _not_told_yet(record: logging.LogRecord) -> bool:
    """A step that failed with a code has said so itself (activities/running.py), and without a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], ApplicationError))


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("ferry").critical("nobody caught this", exc_info=(kind, error, trace))
