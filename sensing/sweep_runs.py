"""`airshed sense` on sensors that deliver power instead of IQ: rtl_power sweeps and SX1302 spectral scans."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

from sensing.detector import Design
from sensing.raster import LORAWAN_CHANNELS
from sensing.rtl_power import RtlPowerSensor
from sensing.session import SenseOptions
from sensing.spectral_scan import COARSE_DB, SpectralScanSensor
from sensing.sweeps import UNCERTAINTY_DB
from spectrum.errors import BadInput
from spectrum.report import ChannelReport

POLL_S: Final = 0.2


def run(options: SenseOptions, rssi_offset_dbm: float | None, *, as_json: bool) -> None:
    """Print the reports as JSON lines, or sum them up in a table."""
    from rich.console import Console

    from sensing.command_runs import write_lines
    from sensing.summary import Summary

    if options.record is not None:
        raise BadInput("--record keeps samples, and this source has none: leave it out")
    summary = Summary()
    for report in reports_of(options, rssi_offset_dbm):
        if as_json:
            write_lines([report])
        else:
            summary.add([report])
    if not as_json:
        Console(width=None if sys.stdout.isatty() else 150).print(summary.table(options.wanted.place))


def reports_of(
    options: SenseOptions, rssi_offset_dbm: float | None = None, stop: threading.Event | None = None
) -> Iterator[ChannelReport]:
    """Reports of the file that options.wanted.place names, until its end, options.seconds, or `stop`.

    A file that is followed and whose lines carry no time (an SX1302's log) is followed from its end on.
    """
    kind, _, place = options.wanted.place.partition(":")
    name = kind if options.name == "sensor" else options.name
    follow, live = options.wanted.follow, options.wanted.follow or place == "-"
    sensor: RtlPowerSensor | SpectralScanSensor
    if kind == "rtl_power":
        design = _at_least(options, UNCERTAINTY_DB)
        sensor = RtlPowerSensor(options.subchannels or options.within or LORAWAN_CHANNELS, name=name, design=design)
    else:
        sensor = SpectralScanSensor(
            name=name,
            design=_at_least(options, COARSE_DB),
            rssi_offset_dbm=rssi_offset_dbm,
            now=time.time if live else None,
        )
    first_s: float | None = None
    with _lines(place, follow=follow, from_end=follow and kind == "sx1302", stop=stop) as lines:
        for report in sensor.reports(lines, place):
            first_s = report.time_s if first_s is None else first_s
            if options.seconds is not None and report.time_s - first_s >= options.seconds:
                return
            yield report


def _at_least(options: SenseOptions, uncertainty_db: float) -> Design:
    """The design asked for; powers averaged over seconds, or in coarse steps, are never surer than this."""
    return replace(options.design, uncertainty_db=max(options.design.uncertainty_db, uncertainty_db))


@contextmanager
def _lines(place: str, *, follow: bool, from_end: bool, stop: threading.Event | None) -> Iterator[Iterable[str]]:
    if place == "-":
        yield sys.stdin
        return
    try:
        file = Path(place).open(encoding="utf-8", errors="replace")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise BadInput(f"{place or 'the file after the colon'} cannot be read: {error.strerror}") from None
    with file:
        if from_end:
            file.seek(0, os.SEEK_END)
        yield _growing(file, stop or threading.Event()) if follow else file


def _growing(file: TextIO, stop: threading.Event) -> Iterator[str]:
    """Whole lines of a file that is still being written, until `stop`."""
    part = ""
    while not stop.is_set():
        part += file.readline()
        if part.endswith("\n"):
            yield part
            part = ""
        else:
            stop.wait(POLL_S)
