"""What `airshed sense` does once its options are read: JSON, a table, bursts, or a calibration."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from sensing.bursts import Burst, BurstFinder
from sensing.calibration import (
    Calibration,
    calibrated,
    calibration_text,
    gather,
    measure_carrier,
    read_calibration,
)
from sensing.session import SenseOptions, Session
from sensing.summary import Summary, burst_lines
from spectrum.errors import BadInput
from spectrum.eu868 import LORA_BANDWIDTH_HZ
from spectrum.report import ChannelReport
from terminal.command import emit_json, progress
from terminal.signals import stopped_by_signals

if TYPE_CHECKING:
    from rich.console import Console

# A list of bursts is made on intervals as fine as this, whatever the source.
BURST_INTERVAL_S: Final = 0.001
CALIBRATION_S: Final = 2.0
# A live table is drawn again this often, in seconds of samples.
REDRAW_S: Final = 0.5


def print_json(options: SenseOptions) -> None:
    """One JSON object a line for each subchannel and interval."""
    with _running(options) as (session, stop):
        for reports in _followed(session, stop):
            write_lines(reports)


def write_lines(reports: list[ChannelReport]) -> None:
    """Reports as JSON lines on stdout; infinities, which JSON has not, as null."""
    if reports:
        encode = msgspec.json.encode
        sys.stdout.write("".join([encode(report).decode() + "\n" for report in reports]))
        sys.stdout.flush()


def show_table(options: SenseOptions) -> None:
    """One row a subchannel at the end, and drawn all along where a terminal shows a source that goes on."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 150)
    summary, finder = Summary(), BurstFinder()
    bursts: list[Burst] = []
    with _running(options) as (session, stop):
        title = (
            f"{session.source.name}: {session.tuning.rate_hz / 1e6:g} MS/s at {session.tuning.center_hz / 1e6:g} MHz"
        )
        with _drawn(console, live=session.duration_s is None and console.is_terminal) as draw:
            for reports in _followed(session, stop):
                summary.add(reports)
                bursts += finder.feed(report for report in reports if report.bandwidth_hz == LORA_BANDWIDTH_HZ)
                draw(summary, title)
    bursts += finder.flush()
    console.print(summary.table(title))
    if bursts:
        click.echo(f"{len(bursts)} bursts:")
        for line in burst_lines(bursts):
            click.echo(line)


def list_bursts(options: SenseOptions, *, as_json: bool) -> None:
    """Bursts as they end."""
    finder = BurstFinder()
    if options.interval_s is None:
        options = replace(options, interval_s=BURST_INTERVAL_S)
    with _running(replace(options, sigfox=False)) as (session, stop):
        for reports in _followed(session, stop):
            for burst in finder.feed(reports):
                _print_burst(burst, as_json=as_json)
    for burst in finder.flush():
        _print_burst(burst, as_json=as_json)


def _print_burst(burst: Burst, *, as_json: bool) -> None:
    if as_json:
        emit_json(asdict(burst))
    else:
        click.echo(burst_lines([burst])[0])


def calibrate(
    options: SenseOptions,
    calibration_path: str | None,
    level_dbm: float | None,
    carrier_hz: float | None,
    *,
    as_json: bool,
) -> None:
    """Measure a known carrier, and write or complete the calibration file."""
    if level_dbm is None and carrier_hz is None:
        raise BadInput("--calibrate needs what is known: --level-dbm, --carrier, or both")
    path = None if calibration_path is None else Path(calibration_path)
    with Session(options) as session:
        source = session.source
        before = read_calibration(path) if path is not None and path.exists() else Calibration(source.name)
        reading = measure_carrier(gather(source, options.seconds or CALIBRATION_S), source.tuning, carrier_hz)
        after = calibrated(before, reading, source.tuning, level_dbm=level_dbm, carrier_hz=carrier_hz)
    if path is not None:
        path.write_text(calibration_text(after), "utf-8")
    if as_json:
        gain_db = source.tuning.gain_db
        levels = {"gain_db": gain_db, "full_scale_dbm": after.offset_db(gain_db)}
        emit_json({**asdict(reading), "dongle": after.dongle, "ppm": after.ppm, **levels})
        return
    click.echo(
        f"carrier at {reading.frequency_hz / 1e6:.6f} MHz, {reading.level_dbfs:.1f} dBFS, {reading.snr_db:.0f} dB"
    )
    click.echo(calibration_text(after), nl=False)


@contextmanager
def _drawn(console: Console, *, live: bool) -> Iterator[Callable[[Summary, str], None]]:
    """A function that draws the table anew, now and then; it does nothing unless `live`."""
    if not live:
        yield lambda summary, title: None
        return
    from rich.live import Live

    drawn_s = -math.inf
    with Live(console=console, auto_refresh=False, transient=True) as screen:

        def draw(summary: Summary, title: str) -> None:
            nonlocal drawn_s
            now_s = max((row.last.time_s for row in summary.rows.values()), default=drawn_s)
            if now_s >= drawn_s + REDRAW_S:
                drawn_s = now_s
                screen.update(summary.table(title), refresh=True)

        yield draw


@contextmanager
def _running(options: SenseOptions) -> Iterator[tuple[Session, threading.Event]]:
    """An opened session that Ctrl-C and SIGTERM end after the present block."""
    with Session(options) as session, stopped_by_signals() as stop:
        closer = threading.Thread(target=_close_when, args=(stop, session), daemon=True)
        closer.start()
        try:
            yield session, stop
        finally:
            stop.set()
            closer.join()


def _close_when(stop: threading.Event, session: Session) -> None:
    stop.wait()
    session.source.close()


def _followed(session: Session, stop: threading.Event) -> Iterator[list[ChannelReport]]:
    """The reports of a session, with a progress bar where there is an end to progress to."""
    total_s = session.duration_s
    with progress("sensing", total_s or 1.0, quiet=total_s is None) as advance:
        before_s = 0.0
        for seen_s, reports in session.reports(stop):
            advance(seen_s - before_s)
            before_s = seen_s
            yield reports
