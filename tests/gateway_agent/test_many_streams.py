"""Many agents' streams against one controller, in one process; the full thousand is benchmarks/agent_streams.py."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from channel_status.memory import MemoryDatabase
from spectrum.site_file import Site

STREAMS = 500


def test_every_stream_is_answered(running_controller: Callable[..., AbstractContextManager[tuple[Site, Any]]]) -> None:
    place = Path(__file__).parents[2] / "benchmarks" / "agent_streams.py"
    spec = importlib.util.spec_from_file_location("agent_streams", place)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    with running_controller(MemoryDatabase()) as (site, _):
        found = asyncio.run(benchmark.load(site.controller.listen, STREAMS, 2, 120.0))
        assert found["streams"] == STREAMS
        assert found["answers"] == 2 * STREAMS
