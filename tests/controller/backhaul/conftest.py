"""A real backhaul for tests: Open vSwitch and network namespaces, with the controller and agents as processes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from channel_status.embedded import private_server
from testbed.backhaul_bench import Bench
from testbed.backhaul_site import BackhaulSite, objection

# Both bases; the one that is named where one is: then it has to be installed.
NAMED = os.environ.get("AIRSHED_SDN_BASE")
BASES = [NAMED] if NAMED else ["os-ken", "ryu"]


@pytest.fixture(scope="module", params=BASES)
def base(request: pytest.FixtureRequest) -> str:
    """Both bases of the controller, Ryu where it is installed."""
    if request.param == "ryu" and not NAMED and importlib.util.find_spec("ryu") is None:
        pytest.skip("Ryu is not installed here: ./run test-ryu installs it beside and runs these tests on it")
    return str(request.param)


@pytest.fixture(scope="module")
def bench(base: str) -> Iterator[Bench]:
    """Two gateways, a stranger and a sensor behind one switch, with the controller up."""
    why_not = objection()
    if why_not:
        pytest.skip(why_not)
    folder = Path(tempfile.mkdtemp(prefix="abh"))
    try:
        with ExitStack() as stack:
            url = stack.enter_context(private_server())
            site = stack.enter_context(BackhaulSite(folder, ["gw-1", "gw-2", "stranger"], ["sensor-1"]))
            yield Bench(site, url, stack, base)
    finally:
        shutil.rmtree(folder)
