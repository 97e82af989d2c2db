"""One run of `airshed sense`: a source, one or two sensors on it, and somewhere for the reports to go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sensing.calibration import Calibration
from sensing.detector import Design
from sensing.files import FileSource
from sensing.opening import Wanted, open_source
from sensing.raster import captured
from sensing.source import IqSource, Tuning
from sensing.stream import Sensor, SensorConfig
from spectrum.errors import BadInput
from spectrum.eu868 import LORA_BANDWIDTH_HZ, SIGFOX_UPLINK, Subchannel
from spectrum.report import ChannelReport
from spectrum.sigfox import micro_channel_groups

if TYPE_CHECKING:
    from sensing.recorder import Recorder

INTERVAL_S: Final = 0.010
# A short recording is cut finer: ten times as many cells to tell noise from signals by, and burst edges to 1 ms.
SHORT_RECORDING_S: Final = 10.0
SHORT_INTERVAL_S: Final = 0.001

# SigFox: 192 groups of ten micro-channels (1 kHz) on bins of 250 Hz. A frame of 100 Hz then loses 10 dB of SNR instead
# of the 31 dB of a 125 kHz detector (notes 1.2.4), and lasts for twenty intervals.
SIGFOX_GROUPS: Final = 192
SIGFOX_BIN_HZ: Final = 250.0
SIGFOX_INTERVAL_S: Final = 0.100


@dataclass(frozen=True, slots=True)
class Record:
    """Where to record what is sensed, and how many bytes at the most; the run ends there."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class SenseOptions:
    """What a user asks for.

    subchannels: to be sensed whatever is captured; within: to be sensed where captured; both None for the raster of the
    captured band. sigfox: sense the SigFox band finely, too.
    """

    wanted: Wanted
    name: str = "sensor"
    seconds: float | None = None
    interval_s: float | None = None
    subchannels: tuple[Subchannel, ...] | None = None
    within: tuple[Subchannel, ...] | None = None
    sigfox: bool = False
    design: Design = field(default_factory=Design)
    calibration: Calibration | None = None
    record: Record | None = None


class Session:
    """An opened source with its sensors; a context manager that closes it."""

    def __init__(self, options: SenseOptions) -> None:
        self.options = options
        with ExitStack() as stack:
            self.source: IqSource = stack.enter_context(open_source(options.wanted))
            self.configs = _configs(options, self.source)
            self._sensors = [Sensor(config) for config in self.configs]
            self.recorder = stack.enter_context(_recorder(options, self.source)) if options.record else None
            self._stack = stack.pop_all()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def tuning(self) -> Tuning:
        """What the receiver is set to."""
        return self.source.tuning

    @property
    def duration_s(self) -> float | None:
        """How long the run will take in samples, None when it ends only when it is stopped."""
        options, lengths = self.options, []
        if options.seconds is not None:
            lengths.append(options.seconds)
        if isinstance(self.source, FileSource) and not (options.wanted.loop or options.wanted.follow):
            lengths.append(self.source.recording.duration_s)
        return min(lengths, default=None)

    def reports(self, stop: threading.Event) -> Iterator[tuple[float, list[ChannelReport]]]:
        """After each block: seconds of samples seen so far, and the reports that it completed."""
        left = None if self.options.seconds is None else round(self.options.seconds * self.tuning.rate_hz)
        seen = 0
        for block in self.source.blocks():
            if left is not None and block.count > left - seen:
                per_sample = block.samples.size // block.count
                block = replace(block, samples=block.samples[: (left - seen) * per_sample])
            if self.recorder is not None:
                block = self.recorder.take(block)
            seen += block.count
            reports = [report for sensor in self._sensors for report in sensor.feed(block)]
            yield seen / self.tuning.rate_hz, self._noted(reports)
            if stop.is_set() or (left is not None and seen >= left) or (self.recorder and self.recorder.full):
                break
        last = [report for sensor in self._sensors for report in sensor.flush()]
        yield seen / self.tuning.rate_hz, self._noted(last)

    def _noted(self, reports: list[ChannelReport]) -> list[ChannelReport]:
        if self.recorder is not None:
            # The fine SigFox cells lie inside these, and would annotate the same signals twice.
            self.recorder.annotate(report for report in reports if report.bandwidth_hz == LORA_BANDWIDTH_HZ)
        return reports


def _recorder(options: SenseOptions, source: IqSource) -> Recorder:
    from sensing.recorder import Recorder

    assert options.record is not None
    record, now = options.record, datetime.now(UTC)
    return Recorder(record.folder, record.limit_bytes, source.tuning, source=source.name, name=options.name, now=now)


def _configs(options: SenseOptions, source: IqSource) -> list[SensorConfig]:
    tuning = source.tuning
    first = SensorConfig(
        tuning,
        options.name,
        options.subchannels if options.within is None else _captured(options.within, tuning),
        _interval_s(options, source),
        design=options.design,
        calibration=options.calibration,
    )
    _check_enough(source, first.interval_s, options, "--interval takes a shorter one")
    if not options.sigfox:
        return [first]
    if not captured((SIGFOX_UPLINK,), tuning.center_hz, tuning.rate_hz):
        raise BadInput(
            f"--sigfox needs 868.034-868.226 MHz captured whole; this source has {tuning.rate_hz / 1e6:g} MHz "
            f"around {tuning.center_hz / 1e6:g} MHz"
        )
    fine = replace(
        first,
        subchannels=micro_channel_groups(SIGFOX_GROUPS),
        interval_s=SIGFOX_INTERVAL_S,
        bin_hz=SIGFOX_BIN_HZ,
    )
    _check_enough(source, fine.interval_s, options, "leave --sigfox away")
    return [first, fine]


def _captured(wanted: tuple[Subchannel, ...], tuning: Tuning) -> tuple[Subchannel, ...]:
    found = captured(wanted, tuning.center_hz, tuning.rate_hz)
    if not found:
        names = ", ".join(f"{subchannel.center_hz / 1e6:g}" for subchannel in wanted)
        raise BadInput(
            f"none of the channels at {names} MHz lies in the {tuning.rate_hz / 1e6:g} MHz captured around "
            f"{tuning.center_hz / 1e6:g} MHz"
        )
    return found


def _interval_s(options: SenseOptions, source: IqSource) -> float:
    if options.interval_s is not None:
        return options.interval_s
    if isinstance(source, FileSource) and not options.wanted.follow:
        return SHORT_INTERVAL_S if source.recording.duration_s < SHORT_RECORDING_S else INTERVAL_S
    return INTERVAL_S


def _check_enough(source: IqSource, interval_s: float, options: SenseOptions, advice: str) -> None:
    """A recording shorter than one sensing interval would end without a word."""
    if isinstance(source, FileSource) and not (options.wanted.follow or options.wanted.loop):
        duration_s = source.recording.duration_s
        if duration_s < interval_s:
            raise BadInput(
                f"{source.name} lasts {duration_s * 1e3:.3g} ms, less than one sensing interval of "
                f"{interval_s * 1e3:g} ms: is it truncated? Else {advice}"
            )
