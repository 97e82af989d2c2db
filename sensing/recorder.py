"""Recording what is sensed: SigMF (1.2) with an annotation for each busy interval, within a limit of bytes.

The samples are kept as they came (cu8 from a dongle, else cf32_le); every gap in the stream begins a new capture.
"""

from __future__ import annotations

import hashlib
import shutil
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from sensing.bursts import Burst, BurstFinder
from sensing.sigmf_files import sigmf_text
from sensing.source import IqBlock, Tuning
from spectrum.errors import BadInput, Failed
from spectrum.report import ChannelReport

# Times below this are seconds since the first sample, not since the epoch: 2001-09-09.
LEAST_EPOCH_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive samples of the file: where they begin in the file and in the stream, and when."""

    file_sample: int
    stream_sample: int
    time_s: float


class Recorder:
    """Writes blocks into DIR until `limit_bytes` are full; `close` writes the metadata. A context manager.

    The folder is made if need be; nothing that exists is written over. Failed when the disk has no room for the limit,
    or runs out of it.
    """

    def __init__(
        self, folder: Path, limit_bytes: int, tuning: Tuning, *, source: str, name: str = "sensor", now: datetime
    ) -> None:
        if limit_bytes < 2:
            raise BadInput(f"a recording needs a limit of at least 2 bytes, got {limit_bytes}")
        self.limit_bytes, self.tuning, self._source = limit_bytes, tuning, source
        self.written_bytes = 0
        self._segments: list[Segment] = []
        self._bursts: list[Burst] = []
        self._finder = BurstFinder()
        self._digest = hashlib.sha512()
        self._datatype, self._sample_bytes = "cu8", 2
        self._samples = 0
        self._next_sample = -1
        self._closed = False
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True)
            free_bytes = shutil.disk_usage(folder).free
            if free_bytes < limit_bytes:
                raise Failed(f"{folder} has {free_bytes} bytes free, fewer than the limit of {limit_bytes}: lower it")
        except OSError as error:
            raise Failed(f"cannot record into {folder}: {error.strerror or error}") from None
        try:
            stem = f"{name}_{now:%Y%m%dT%H%M%SZ}_{tuning.center_hz / 1e6:.4f}M_{tuning.rate_hz / 1e3:.0f}k"
            self.data_path = folder / f"{stem}.sigmf-data"
            self._file = self.data_path.open("xb")
        except FileExistsError:
            raise Failed(f"{folder} holds a recording of this second already: try again") from None
        except OSError as error:
            raise Failed(f"cannot record into {folder}: {error.strerror or error}") from None

    @property
    def meta_path(self) -> Path:
        """Where the metadata goes."""
        return self.data_path.with_suffix(".sigmf-meta")

    @property
    def full(self) -> bool:
        """Whether not one more sample fits."""
        return self.written_bytes + self._sample_bytes > self.limit_bytes

    def take(self, block: IqBlock) -> IqBlock:
        """Write a block, or as much of it as the limit allows; what was written of it comes back."""
        as_bytes = block.samples.dtype == np.uint8
        if not self._segments:
            self._datatype, self._sample_bytes = ("cu8", 2) if as_bytes else ("cf32_le", 8)
        count = min(block.count, (self.limit_bytes - self.written_bytes) // self._sample_bytes)
        kept = replace(block, samples=block.samples[: 2 * count if as_bytes else count])
        if count == 0:
            return kept
        if block.first_sample != self._next_sample:
            self._segments.append(Segment(self._samples, block.first_sample, block.time_s))
        data = kept.samples.tobytes()
        try:
            self._file.write(data)
        except OSError as error:
            raise Failed(f"recording into {self.data_path} stopped: {error.strerror or error}") from None
        self._digest.update(data)
        self._samples += count
        self._next_sample = block.first_sample + count
        self.written_bytes += len(data)
        return kept

    def annotate(self, reports: Iterable[ChannelReport]) -> None:
        """Look for busy intervals in the reports of what was recorded."""
        self._bursts.extend(self._finder.feed(reports))

    def close(self) -> None:
        """Write the metadata; a recording without a sample is taken away again."""
        if self._closed:
            return
        self._closed = True
        self._file.close()
        if not self._samples:
            self.data_path.unlink()
            return
        self._bursts.extend(self._finder.flush())
        fresh = self.meta_path.with_suffix(".new")
        fresh.write_text(self._metadata(), encoding="utf-8")
        fresh.replace(self.meta_path)

    def _metadata(self) -> str:
        gain = "unknown" if self.tuning.gain_db is None else f"{self.tuning.gain_db:g} dB"
        lost = self._next_sample - self._segments[0].stream_sample - self._samples
        info = {
            "core:datatype": self._datatype,
            "core:sample_rate": self.tuning.rate_hz,
            "core:recorder": "airshed",
            "core:hw": f"{self._source}, gain {gain}",
            "core:description": f"{lost} samples were lost between captures",
            "core:sha512": self._digest.hexdigest(),
        }
        bursts = sorted(self._bursts, key=lambda burst: self._file_sample(burst.start_s))
        annotations = [_annotation(burst, *map(self._file_sample, (burst.start_s, burst.end_s))) for burst in bursts]
        return sigmf_text(info, [self._capture(segment) for segment in self._segments], annotations)

    def _capture(self, segment: Segment) -> dict[str, Any]:
        capture: dict[str, Any] = {
            "core:sample_start": segment.file_sample,
            "core:global_index": segment.stream_sample,
            "core:frequency": self.tuning.center_hz,
        }
        if segment.time_s > LEAST_EPOCH_S:
            stamp = datetime.fromtimestamp(segment.time_s, UTC)
            capture["core:datetime"] = stamp.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return capture

    def _file_sample(self, time_s: float) -> int:
        """The sample of the file taken at a time; the nearest one where it fell into a gap."""
        index = max(0, bisect_right([segment.time_s for segment in self._segments], time_s) - 1)
        segment = self._segments[index]
        end = self._segments[index + 1].file_sample if index + 1 < len(self._segments) else self._samples
        sample = segment.file_sample + round((time_s - segment.time_s) * self.tuning.rate_hz)
        return min(max(sample, segment.file_sample), end)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _annotation(burst: Burst, first: int, end: int) -> dict[str, Any]:
    return {
        "core:sample_start": first,
        "core:sample_count": max(1, end - first),
        "core:freq_lower_edge": burst.low_hz,
        "core:freq_upper_edge": burst.high_hz,
        "core:label": "busy",
        "core:generator": "airshed",
        "core:comment": f"{burst.snr_db:.1f} dB above the noise",
    }
