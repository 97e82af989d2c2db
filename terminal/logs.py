"""Logs of the long-running parts: one event a line on stderr, readable on a terminal, JSON for machines."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

ROOMS: Final = ("channel_status", "controller", "gateway_agent", "monitoring", "sensing", "testbed", "console")


def log_to_stderr(level: int = logging.INFO, *, as_json: bool | None = None) -> None:
    """Send Airshed's logs to stderr; libraries only from warnings on.

    as_json: None for JSON unless stderr is a terminal. What is passed as `extra` becomes fields.
    """
    import structlog

    as_json = not sys.stderr.isatty() if as_json is None else as_json
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    end = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            end,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for room in ROOMS:
        logging.getLogger(room).setLevel(level)
