"""How fast IQ becomes energies and reports, on one core; the tables of docs/sensing.md.

    python benchmarks/sensing.py [--repeats 5] [--seconds 2] [--soak MINUTES] [--json]

Everything runs in one thread at 1920 points, Hann, 50 % overlap and 12 subchannels per 10 ms, from bytes. Printed are
medians of the repeats, by the processor time of this process (others may share the machine) and by the clock.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))
# This file is called like the room it measures: the room must be found first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import scipy
from numpy.typing import NDArray

from sensing.power import EnergyMeter, plan_columns, plan_frames
from sensing.raster import band_raster
from sensing.scenes import busy_band
from sensing.source import IqBlock, Tuning
from sensing.stream import Sensor, SensorConfig
from sensing.synthetic import SyntheticSource

RATE_HZ: Final = 2.4e6
TUNING: Final = Tuning(868.0125e6, RATE_HZ)
INTERVAL_SAMPLES: Final = 24_000
SUBCHANNELS: Final = band_raster(868.0125e6, 1.5e6)  # twelve of 125 kHz
DEFAULT_TARGET_MSPS: Final = 60.0
FAST_TARGET_MSPS: Final = 150.0


def stream(seconds: float) -> NDArray[np.uint8]:
    """Bytes of the busy synthetic scene."""
    return np.concatenate(
        [block.samples for block in SyntheticSource(busy_band(868.0125e6, RATE_HZ, 1), seconds).blocks()]
    )


def energies(samples: NDArray[np.uint8], fft: str) -> Callable[[], None]:
    """Energy of every subchannel and interval, in blocks of 0.1 s."""
    frames = plan_frames(RATE_HZ)
    meter = EnergyMeter(frames, plan_columns(frames, TUNING, SUBCHANNELS), fft)
    step = 2 * INTERVAL_SAMPLES * 10

    def work() -> None:
        for start in range(0, samples.size, step):
            meter.measure(samples[start : start + step])

    return work


def reports(samples: NDArray[np.uint8], fft: str) -> Callable[[], None]:
    """Finished channel reports of a sensor that goes on: floor, threshold, occupancy and flags included."""
    sensor = Sensor(SensorConfig(TUNING, subchannels=SUBCHANNELS, fft=fft))
    step = 2 * INTERVAL_SAMPLES * 10
    first = 0

    def work() -> None:
        nonlocal first
        for start in range(0, samples.size, step):
            block = samples[start : start + step]
            sensor.feed(IqBlock(block, first, first / RATE_HZ))
            first += block.size // 2

    return work


def by_complex128(samples: NDArray[np.uint8]) -> None:
    """The usual way: complex128 as read_samples delivers it, numpy's FFT of one frame after the other."""
    frames = plan_frames(RATE_HZ)
    columns = plan_columns(frames, TUNING, SUBCHANNELS)
    window = frames.window.astype(np.float64)
    iq = samples.astype(np.float64).view(np.complex128) / 127.5 - (1 + 1j)
    for start in range(0, iq.size - INTERVAL_SAMPLES + 1, INTERVAL_SAMPLES):
        power = np.zeros(frames.points)
        for frame in range(frames.per_interval):
            first = start + frame * frames.hop
            power += np.abs(np.fft.fftshift(np.fft.fft(iq[first : first + frames.points] * window))) ** 2
        [power[low:high].sum() for low, high in zip(columns.first, columns.last, strict=True)]


def by_welch(samples: NDArray[np.uint8]) -> None:
    """scipy.signal.welch of each interval in complex64."""
    from scipy.signal import welch

    frames = plan_frames(RATE_HZ)
    columns = plan_columns(frames, TUNING, SUBCHANNELS)
    iq = ((samples.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)).view(np.complex64)
    for start in range(0, iq.size - INTERVAL_SAMPLES + 1, INTERVAL_SAMPLES):
        part = iq[start : start + INTERVAL_SAMPLES]
        _, power = welch(part, RATE_HZ, "hann", frames.points, return_onesided=False, detrend=False)
        power = np.fft.fftshift(power)
        [power[low:high].sum() for low, high in zip(columns.first, columns.last, strict=True)]


def speed(work: Callable[[], None], count: int, repeats: int) -> dict[str, float]:
    """Median million samples a second, by processor time and by the clock, after one run to warm up."""
    work()
    by_processor, by_clock = [], []
    for _ in range(repeats):
        began = time.process_time(), time.perf_counter()
        work()
        by_processor.append(count / (time.process_time() - began[0]) / 1e6)
        by_clock.append(count / (time.perf_counter() - began[1]) / 1e6)
    return {"msps_cpu": statistics.median(by_processor), "msps_clock": statistics.median(by_clock)}


def latencies_ms(samples: NDArray[np.uint8], block_samples: int) -> dict[str, float]:
    """From a block to its reports, block by block, once warm: median, 99th percentile and largest."""
    sensor = Sensor(SensorConfig(TUNING, subchannels=SUBCHANNELS))
    taken = []
    for start in range(0, samples.size - 2 * block_samples + 1, 2 * block_samples):
        block = IqBlock(samples[start : start + 2 * block_samples], start // 2, start / 2 / RATE_HZ)
        began = time.perf_counter()
        made = sensor.feed(block)
        if made and block.time_s > 0.6:
            taken.append((time.perf_counter() - began) * 1e3)
    median, high = np.percentile(taken, [50, 99])
    return {"block_ms": block_samples / RATE_HZ * 1e3, "p50_ms": median, "p99_ms": high, "max_ms": max(taken)}


def soak(minutes: float) -> dict[str, float]:
    """Resident memory while ten times the rate of a dongle is sensed for `minutes` of the clock."""
    samples = stream(2.0)
    sensor = Sensor(SensorConfig(TUNING, subchannels=SUBCHANNELS))
    step, began, first, kept = 2 * INTERVAL_SAMPLES * 10, time.perf_counter(), 0, 0
    early = 0.0
    while (elapsed_s := time.perf_counter() - began) < minutes * 60:
        for start in range(0, samples.size, step):
            block = samples[start : start + step]
            kept += len(sensor.feed(IqBlock(block, first, first / RATE_HZ)))
            first += block.size // 2
        if not early and first / RATE_HZ > 12:  # both windows of the floor are full
            early = resident_mb()
        ahead_s = first / (10 * RATE_HZ) - (time.perf_counter() - began)
        time.sleep(max(0.0, ahead_s))
    return {"sensed_s": first / RATE_HZ, "reports": kept, "took_s": elapsed_s, "resident_early_mb": early,
            "resident_end_mb": resident_mb()}  # fmt: skip


def resident_mb() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def machine() -> dict[str, str]:
    """What this was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def make_scene(seconds: float) -> None:
    """The synthetic scene itself: what the demo spends on its air."""
    stream(seconds)


def measure(seconds: float, repeats: int) -> dict[str, Any]:
    """Everything but the soak."""
    samples = stream(seconds)
    count = samples.size // 2
    short = samples[: 2 * INTERVAL_SAMPLES * 20]
    ffts = ["scipy"] + (["fftw"] if find_spec("pyfftw") else [])
    found: dict[str, Any] = {"machine": machine()}
    for fft in ffts:
        found[f"energies_{fft}"] = speed(energies(samples, fft), count, repeats)
        found[f"reports_{fft}"] = speed(reports(samples, fft), count, repeats)
    found["complex128_numpy"] = speed(partial(by_complex128, short), short.size // 2, repeats)
    found["scipy_welch"] = speed(partial(by_welch, short), short.size // 2, repeats)
    found["synthetic_scene"] = speed(partial(make_scene, seconds), count, repeats)
    found["latency"] = latencies_ms(samples, INTERVAL_SAMPLES)
    return found


def show(found: dict[str, Any]) -> None:
    """The table for people."""
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()))
    print(f"{'one core, u8, 1920 points, 12 per 10 ms':<42}{'MS/s cpu':>10}{'MS/s clock':>12}{'x 2.4 MS/s':>12}")
    for name, row in found.items():
        if "msps_cpu" in row:
            times = row["msps_cpu"] * 1e6 / RATE_HZ
            print(f"{name:<42}{row['msps_cpu']:>10.1f}{row['msps_clock']:>12.1f}{times:>12.1f}")
    for fft, target_msps in (("scipy", DEFAULT_TARGET_MSPS), ("fftw", FAST_TARGET_MSPS)):
        for what in ("energies", "reports"):
            if row := found.get(f"{what}_{fft}"):
                print(
                    f"{what} with {fft}: {row['msps_cpu'] / target_msps:.2f} times the target of {target_msps:g} MS/s"
                )
    ratio = found["energies_scipy"]["msps_cpu"] / found["complex128_numpy"]["msps_cpu"]
    print(f"energies with scipy: {ratio:.1f} times as fast as complex128 and numpy.fft")
    row = found["latency"]
    print(f"block of {row['block_ms']:g} ms to reports: p50 {row['p50_ms']:.2f} ms, p99 {row['p99_ms']:.2f} ms")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of stream in each repeat")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="watch the memory instead")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.soak:
        print(json.dumps(soak(options.soak)))
        return
    found = measure(options.seconds, options.repeats)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
