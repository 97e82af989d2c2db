"""The whole loop on one machine: database, sensor, controller and agent as processes, watched from here."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from channel_status import records
from channel_status.embedded import private_server
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from channel_status.redis_door import connect
from sensing.opening import Wanted, open_source
from spectrum.errors import BadInput, Failed
from spectrum.report import ChannelReport
from spectrum.site_file import SensorTable, Site, parse_site
from testbed.backhaul_site import CONTROLLER_IP, GRPC_PORT, BackhaulSite, objection
from testbed.demo_site import NAME, DemoPlan, free_port, lay_out, site_toml, source_of
from testbed.demo_summary import summary
from testbed.supervisor import Supervisor

# Every part imports its libraries and compiles or loads its kernels first; a loaded machine takes its time.
START_TIMEOUT_S: Final = 90.0
MEAN_GAP_S: Final = 6.0
HOSTS: Final = ("controller", "gateway-1", "sensor-1")

# After the last packet was ready, its slot and its copies may still lie ahead.
TAIL_TIMEOUT_S: Final = 30.0

# The sensing interval of a site file that says nothing else.
INTERVAL_S: Final = SensorTable(name="x").interval_s


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asks for; see `airshed demo --help`."""

    recording: str | None = None
    center_hz: float | None = None
    rate_hz: float | None = None
    devices: int = 50
    seconds: float = 20.0
    attempts: int = 5
    seed: int = 1
    loop: bool = False
    backhaul: bool = False


@dataclass(slots=True)
class View:
    """What the watcher shows: the newest reports, the last outcomes, and how far it is."""

    elapsed_s: float
    options: DemoOptions
    reports: tuple[ChannelReport, ...]
    outcomes: list[dict[str, Any]] = field(default_factory=list)


def plan_demo(options: DemoOptions) -> DemoPlan:
    """Open the source once to learn its tuning, and lay the site over it; BadInput for a wrong recording."""
    place = source_of(options.recording)
    with open_source(Wanted(place, options.center_hz, options.rate_hz)) as source:
        tuning = source.tuning
        first = next(iter(source.blocks()), None)  # a truncated or empty file is told here, in one line
    if first is None or first.count < INTERVAL_S * tuning.rate_hz:
        lasts_ms = 0.0 if first is None else 1e3 * first.count / tuning.rate_hz
        raise BadInput(f"{place} lasts {lasts_ms:.1f} ms: the demo needs {1e3 * INTERVAL_S:g} ms, one sensing interval")
    lora, sigfox_hz = lay_out(tuning.center_hz, tuning.rate_hz)
    return DemoPlan(
        place, tuning.center_hz, tuning.rate_hz, lora, sigfox_hz,
        options.loop, options.devices, options.attempts, MEAN_GAP_S, free_port(),
    )  # fmt: skip


def run_demo(options: DemoOptions, stop: threading.Event, show: Callable[[View], None]) -> dict[str, Any]:
    """Run the loop for `options.seconds` (or until `stop`) and return the summary. Nothing is left behind."""
    if options.backhaul and (why_not := objection()):
        raise Failed(f"airshed demo --backhaul: {why_not}")
    plan = plan_demo(options)
    if options.backhaul:
        plan = replace(plan, host=CONTROLLER_IP, port=GRPC_PORT)
    text = site_toml(plan)
    site = parse_site(text, "the demo's site")
    outcomes: list[dict[str, Any]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="airshed-demo-")))
        site_file = folder / "demo.toml"
        site_file.write_text(text)
        # behind the switch nobody reaches a database of this machine: the demo has its own there
        given = None if options.backhaul else os.environ.get("REDIS_URL")
        url = given or stack.enter_context(private_server())
        database = connect(url)
        stack.callback(database.close)
        database.ping()
        database.forget(NAME)
        stack.callback(_forget, database)
        parts = stack.enter_context(Supervisor(folder, {"REDIS_URL": url}))
        backhaul = stack.enter_context(BackhaulSite(folder, HOSTS[1:2], HOSTS[2:])) if options.backhaul else None
        at = _hosts(stack, backhaul, url, text) if backhaul else dict.fromkeys(HOSTS, (site_file, ()))
        parts.start("controller", ["controller", str(at["controller"][0])], within=at["controller"][1])
        if backhaul:
            _wait_for_switch(parts, database, stop)
        sensor = ["sense", "--site", str(at["sensor-1"][0]), "--seed", str(options.seed)]
        parts.start("sensor", sensor, within=at["sensor-1"][1])
        _wait_for_sensing(parts, database, stop)
        agent = [
            "agent",
            str(at["gateway-1"][0]),
            "--seconds",
            str(options.seconds),
            "--seed",
            str(options.seed),
            "--json",
        ]
        parts.start("agent", agent, lambda line: outcomes.append(json.loads(line)), at["gateway-1"][1])
        _watch(parts, database, options, outcomes, stop, show)
        parts.stop()
        through = {"backhaul_packets": backhaul.control_packets()} if backhaul else {}
        return {**_summary(options, site, database, outcomes), **through}


def _hosts(stack: ExitStack, site: BackhaulSite, url: str, text: str) -> dict[str, tuple[Path, Sequence[str]]]:
    """The parts' own hosts behind a switch: for each its site file, and what its command begins with to run there."""
    tls = site.certificates(HOSTS[1:])
    stack.enter_context(site.database(url, tls))
    found: dict[str, tuple[Path, Sequence[str]]] = {}
    for host in HOSTS:
        site_file = site.folder / f"{host}.toml"
        site_file.write_text(text + site.tables(tls, host if host == "controller" else f"gateway-{host}"))
        database = [] if host == "controller" else ["env", f"REDIS_URL={site.database_url(tls, host)}"]
        found[host] = site_file, [*site.inside(host), *database]
    return found


def _wait_for_switch(parts: Supervisor, database: ChannelStatusDatabase, stop: threading.Event) -> None:
    """Until the sensor's way to the database is open."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _backhaul_events(database) and not stop.wait(0.05):
        parts.check()
        if time.monotonic() > deadline:
            raise Failed(f"no switch dialled within {START_TIMEOUT_S:g} s: {parts.last_line('controller')}")


def _backhaul_events(database: ChannelStatusDatabase) -> list[dict[str, Any]]:
    """What happened on the backhaul, oldest first."""
    events = [records.decode(entry.value) for entry in database.read(NAME, "events", count=50_000)]
    wanted = ("state", "switch", "port", "gateway", "reason")
    return [{key: event[key] for key in wanted} for event in events if event["event"] == "backhaul"]


def _wait_for_sensing(parts: Supervisor, database: ChannelStatusDatabase, stop: threading.Event) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not database.reports(NAME) and not stop.wait(0.05):
        parts.check()
        if parts.ended("sensor"):
            return  # a recording of a few milliseconds is over before we looked
        if time.monotonic() > deadline:
            raise Failed(f"nothing was sensed within {START_TIMEOUT_S:g} s: {parts.last_line('sensor')}")


def _watch(
    parts: Supervisor,
    database: ChannelStatusDatabase,
    options: DemoOptions,
    outcomes: list[dict[str, Any]],
    stop: threading.Event,
    show: Callable[[View], None],
) -> None:
    """Show the state four times a second until the agent has sent its last packet."""
    started_s = time.monotonic()
    while not parts.ended("agent") and not stop.wait(0.25):
        parts.check()
        elapsed_s = time.monotonic() - started_s
        show(View(elapsed_s, options, database.reports(NAME), list(outcomes)))
        if elapsed_s > options.seconds + TAIL_TIMEOUT_S:
            raise Failed(f"the agent did not end by itself: {parts.last_line('agent')}")
    parts.check()


def _summary(
    options: DemoOptions, site: Site, database: ChannelStatusDatabase, outcomes: list[dict[str, Any]]
) -> dict[str, Any]:
    health = database.get(NAME, "sensor").get("sensor-1")
    tally = records.decode(health) if health else {"intervals": 0, "records": 0}
    reports = database.reports(NAME)
    occupied = [report.subchannel for report in reports if report.occupancy > 0.5]
    subchannels = {"lora": site.spectrum.lora, "sigfox": site.spectrum.sigfox}
    found = summary(outcomes, subchannels, occupied, options.attempts, options.seed)
    flags = sorted({flag for report in reports for flag in report.flags})
    source = options.recording or "synthetic"
    return {
        "source": Path(source).name, "devices": options.devices, "seconds": options.seconds, "seed": options.seed,
        "intervals": tally["intervals"], "records": tally["records"], **found, "flags": flags,
        **({"backhaul": _backhaul_events(database)} if options.backhaul else {}),
    }  # fmt: skip


def _forget(database: ChannelStatusDatabase) -> None:
    with suppress(DatabaseAway):  # it was ours and has gone, or it died: nothing of the demo is left in it either way
        database.forget(NAME)
