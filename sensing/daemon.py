"""The daemon of one sensor of a site: source -> reports -> Channel Status Database, for as long as it is wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from sensing.detector import Design
from sensing.live import Health
from sensing.opening import LIVE_KINDS, Wanted, open_source
from sensing.pacing import PacedSource
from sensing.raster import band_raster, captured
from sensing.source import IqSource, Tuning
from sensing.stream import Sensor, SensorConfig
from sensing.sweep_kinds import is_sweep
from sensing.waterfall import Told, Waterfall
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.site_file import SensorTable, Site
from terminal.signals import closed_at

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """What a sensor has done: kept in the database under `sensor` for operators."""

    intervals: int = 0
    records: int = 0
    lost_records: int = 0
    lost_samples: int = 0
    last_s: float = 0.0
    gain_db: float | None = None
    flags: tuple[str, ...] = ()
    state: str = "running"
    clipping: float | None = None
    lost_rows: int = 0
    _published_s: float = field(default=0.0, repr=False)


def sensed_subchannels(site: Site, tuning: Tuning) -> tuple[Subchannel, ...]:
    """The site's subchannels that the sensor captures whole, else a raster of the band."""
    wanted = tuple(sorted((*site.spectrum.lora, *site.spectrum.sigfox)))
    return captured(wanted, tuning.center_hz, tuning.rate_hz) or band_raster(tuning.center_hz, tuning.rate_hz)


def run_sensor(
    site: Site,
    table: SensorTable,
    database: ChannelStatusDatabase,
    stop: threading.Event,
    clock: Callable[[], float],
    seed: int = 1,
) -> Tally:
    """Sense until `stop` is set or the source ends; returns what was done.

    The database may be away: reports of that time are lost and counted, and sensing goes on.
    """
    if is_sweep(table.source):
        return _run_sweeps(site, table, database, stop, clock)
    tally = Tally()

    def keep_health(health: Health) -> None:
        log.warning("sensor %s is %s %s", table.name, health.state, health.reason)
        tally.state = health.state
        _keep(site, table, database, tally)

    wanted = Wanted(table.source, table.center_hz, table.rate_hz, table.gain_db, table.loop, seed, keep_health)
    with open_source(wanted) as opened, closed_at(stop, opened):
        source: IqSource = opened
        if not table.source.startswith(LIVE_KINDS):
            source = PacedSource(opened, clock, stop.wait)
        tally.gain_db = source.tuning.gain_db
        subchannels = sensed_subchannels(site, source.tuning)
        design = Design(pf=table.pf, pm=table.pm, memory_s=table.memory_s)
        config = SensorConfig(
            source.tuning, table.name, subchannels, table.interval_s, design=design, spectrum_bins=table.spectrum_bins
        )
        sensor = Sensor(config)
        waterfall = Waterfall(table.name, source.tuning, sensor.spectrum_bins) if sensor.spectrum_bins else None
        log.info("sensor %s senses %d subchannels from %s", table.name, len(subchannels), source.name)
        for block in source.blocks():
            tally.lost_samples = block.lost_samples
            reports = sensor.feed(block)
            if sensor.air is not None:
                tally.clipping = float(sensor.air.clipped.max())
            _publish(site, table, database, reports, tally, clock())
            if waterfall is not None:
                told = waterfall.see(sensor.air) if sensor.air is not None else []
                _show(site, table, database, told + waterfall.judge(reports), tally)
            if stop.is_set():
                break
    _publish(site, table, database, sensor.flush(), tally, clock())
    tally.state = "stopped"
    _keep(site, table, database, tally)
    return tally


def _run_sweeps(
    site: Site, table: SensorTable, database: ChannelStatusDatabase, stop: threading.Event, clock: Callable[[], float]
) -> Tally:
    """A sensor that delivers power instead of IQ: the lines of a file as they are written."""
    from sensing.session import SenseOptions
    from sensing.sweep_runs import reports_of

    tally = Tally()
    options = SenseOptions(
        Wanted(table.source, follow=True),
        name=table.name,
        within=tuple(sorted((*site.spectrum.lora, *site.spectrum.sigfox))),
        design=Design(pf=table.pf, pm=table.pm, memory_s=table.memory_s),
    )
    digests = Waterfall(table.name, None, 0)
    for report in reports_of(options, stop=stop):
        _publish(site, table, database, [report], tally, clock())
        _show(site, table, database, digests.judge([report]), tally)
    tally.state = "stopped"
    _keep(site, table, database, tally)
    return tally


def _publish(
    site: Site,
    table: SensorTable,
    database: ChannelStatusDatabase,
    reports: Sequence[ChannelReport],
    tally: Tally,
    now_s: float,
) -> None:
    if not reports:
        return
    try:
        database.publish(site.name, reports)
    except DatabaseAway as error:
        if not tally.lost_records:
            log.warning("reports are lost until the database is back: %s", error)
        tally.lost_records += len(reports)
        return
    tally.records += len(reports)
    tally.intervals += len({report.time_s for report in reports})
    tally.last_s = reports[-1].time_s
    tally.flags = tuple(sorted({flag for report in reports for flag in report.flags}))
    if now_s - tally._published_s >= 1.0:
        tally._published_s = now_s
        _keep(site, table, database, tally)


def _show(site: Site, table: SensorTable, database: ChannelStatusDatabase, told: Told, tally: Tally) -> None:
    """Append rows to the sensor's spectrum streams; those of a time without database are lost and counted."""
    for stream, row in told:
        try:
            database.append(site.name, f"{stream}:{table.name}", [row])
        except DatabaseAway:
            tally.lost_rows += 1


def _keep(site: Site, table: SensorTable, database: ChannelStatusDatabase, tally: Tally) -> None:
    fields = (
        "intervals", "records", "lost_records", "lost_samples", "lost_rows", "last_s", "gain_db", "clipping", "flags",
        "state",
    )  # fmt: skip
    health = {name: getattr(tally, name) for name in fields}
    try:
        database.put(site.name, "sensor", {table.name: records.encode(health)})
    except DatabaseAway as error:
        log.warning("the sensor's health could not be kept: %s", error)
