"""Recordings as a source: raw IQ, two-channel WAV and SigMF, once, in a loop, or growing while they are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from sensing.file_names import hints_of
from sensing.formats import FORMATS, BadSample, SampleFormat, format_named
from sensing.sigmf_files import SIGMF_ENDINGS, read_sigmf_header
from sensing.source import IqArray, IqBlock, SourceContext, Tuning
from sensing.wav import read_wav_header
from spectrum.errors import BadInput

BLOCK_S: Final = 0.1
# A growing file is looked at this often.
POLL_S: Final = 0.05

# What a recording may say of itself and be wrong about: no receiver here goes beyond.
LOWEST_RATE_HZ: Final = 1e3
HIGHEST_RATE_HZ: Final = 1e9


@dataclass(frozen=True, slots=True)
class Recording:
    """Where the samples of a recording lie, what they are, and how the receiver was set."""

    path: Path
    sample_format: SampleFormat
    tuning: Tuning
    start_byte: int = 0
    length_bytes: int | None = None  # None: up to the end of the file

    @property
    def samples(self) -> int:
        """Complex samples that are there now."""
        there = max(0, self.path.stat().st_size - self.start_byte)
        length = there if self.length_bytes is None else min(there, self.length_bytes)
        return length // self.sample_format.sample_bytes

    @property
    def duration_s(self) -> float:
        """Length of what is there now, in seconds."""
        return self.samples / self.tuning.rate_hz


def find_recording(
    place: str | Path,
    *,
    rate_hz: float | None = None,
    center_hz: float | None = None,
    format_name: str | None = None,
    gain_db: float | None = None,
    growing: bool = False,
) -> Recording:
    """What a file holds: from the options given here, else from its own header, else from its name.

    BadInput for a file that is missing, empty or cut within a sample (unless it is growing), or whose rate, centre or
    format nobody tells.
    """
    path = Path(place)
    if not path.is_file():
        raise BadInput(f"no recording {path}: expected a file" + (" and found a folder" if path.is_dir() else ""))
    hints = hints_of(path.name)
    start, length, data_path = 0, None, path
    told_format, told_rate_hz, told_center_hz = hints.format_name, hints.rate_hz, hints.center_hz
    if path.suffix in SIGMF_ENDINGS:
        header = read_sigmf_header(path)
        start, length, data_path = header.start_byte, header.length_bytes, header.data_path
        told_format = header.format_name
        told_rate_hz, told_center_hz = header.rate_hz or told_rate_hz, header.center_hz or told_center_hz
    elif path.suffix.lower() == ".wav":
        wav = read_wav_header(path)
        start, length = wav.start_byte, wav.length_bytes
        told_format, told_rate_hz, told_center_hz = wav.format_name, wav.rate_hz, wav.center_hz or told_center_hz
    chosen = format_name or told_format
    if chosen is None:
        raise BadInput(f"the format of {path.name} is not known: give --format, one of {', '.join(FORMATS)}")
    tuning = Tuning(
        center_hz=_known("centre", "--center", path, center_hz or told_center_hz),
        rate_hz=_known("rate", "--rate", path, rate_hz or told_rate_hz),
        gain_db=gain_db,
    )
    if not LOWEST_RATE_HZ <= tuning.rate_hz <= HIGHEST_RATE_HZ:
        raise BadInput(f"{path.name}: a rate of {tuning.rate_hz:g} samples a second cannot be: expected 1e3 to 1e9")
    recording = Recording(data_path, format_named(chosen), tuning, start, length)
    if not growing:
        _check_length(recording)
    return recording


def _known(what: str, option: str, path: Path, value_hz: float | None) -> float:
    if value_hz is None:
        raise BadInput(
            f"the {what} of {path.name} is not known: give {option} in Hz, "
            "or tell it in the file's name as in site_868.625M_2400k.cu8, or use SigMF"
        )
    if not value_hz > 0:
        raise BadInput(f"{path.name}: the {what} must be above 0 Hz, got {value_hz:g}")
    return value_hz


def _check_length(recording: Recording) -> None:
    path, size = recording.path, recording.sample_format.sample_bytes
    there = path.stat().st_size - recording.start_byte
    length = there if recording.length_bytes is None else recording.length_bytes
    if length <= 0:
        raise BadInput(f"{path} is empty: expected samples of {size} bytes")
    if there < length:
        raise BadInput(f"{path} is truncated: {length} bytes of samples are promised, {there} are there")
    if length % size:
        raise BadInput(
            f"{path} is cut within a sample or is no {recording.sample_format.name}: "
            f"its {length} bytes are no multiple of {size}; cut the rest off or give --format"
        )


class FileSource(SourceContext):
    """A recording as a source.

    loop: begin again at its end, for ever; sample numbers and times go on. follow: wait at its end for more, until
    closed. Both leave the numbering without gaps.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        loop: bool = False,
        follow: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if loop and follow:
            raise BadInput("a recording can be looped or followed, not both")
        self.recording = recording
        self._loop = loop
        self._follow = follow
        self._sleep = sleep
        self._closed = False
        self._reading = False
        try:
            self._file: BinaryIO = recording.path.open("rb")
        except OSError as error:
            raise BadInput(f"{recording.path} cannot be read: {error.strerror}") from None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.recording.path.name

    @property
    def tuning(self) -> Tuning:
        """Centre and rate of the recording."""
        return self.recording.tuning

    def blocks(self) -> Iterator[IqBlock]:
        """Blocks of a tenth of a second, the last one shorter."""
        rate_hz, size = self.tuning.rate_hz, self.recording.sample_format.sample_bytes
        wanted = max(1, round(BLOCK_S * rate_hz)) * size
        first = read_bytes = 0
        self._reading = True
        with self._file as file:
            file.seek(self.recording.start_byte)
            while not self._closed:
                left = wanted if self.recording.length_bytes is None else self.recording.length_bytes - read_bytes
                data = file.read(min(wanted, left))
                whole = len(data) // size * size
                file.seek(whole - len(data), 1)  # what is cut within a sample is read again when it is whole
                if whole:
                    read_bytes += whole
                    yield IqBlock(self._decode(data[:whole], first), first, first / rate_hz)
                    first += whole // size
                elif self._loop and read_bytes:
                    read_bytes = 0
                    file.seek(self.recording.start_byte)
                elif self._follow:
                    self._sleep(POLL_S)
                else:
                    return

    def _decode(self, data: bytes, first: int) -> IqArray:
        chosen = self.recording.sample_format
        try:
            return chosen.decode(np.frombuffer(data, dtype=chosen.stored))
        except BadSample as bad:
            raise BadInput(
                f"{self.recording.path}: sample {first + bad.index} is {bad.value:g}, no sample of a {chosen.name} "
                "recording: is it of another format (--format)?"
            ) from None

    def close(self) -> None:
        """Stop at the next block and close the file."""
        self._closed = True
        if not self._reading:  # else whoever reads closes it: it may be in the middle of a block
            self._file.close()
