"""Logs of the long-running parts: one line an event on stderr."""

from __future__ import annotations

import logging
import sys


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send Airshed's logs to stderr; libraries only from warnings on."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for room in ("channel_status", "controller", "gateway_agent", "monitoring", "sensing", "testbed", "console"):
        logging.getLogger(room).setLevel(level)
