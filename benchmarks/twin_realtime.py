"""How fast the radio twin makes what its sensors hear: IQ of a dozen devices for two sensors, on one core.

    python benchmarks/twin_realtime.py [--repeats 5] [--live 30] [--json]

Pinned to one core. By processor time: seconds of stream at 2.4 MS/s made in a second, for both sensors together, in
`hardware/scenes/dozen.toml` with and without the sensors' impairments, with nothing on the air, and with twelve LoRa
frames on the air at every moment; then the same twelve frames by numpy (complex exponentials of the phase), which is
the slow truth that the compiled loop is held against. --live S plays both sensors for S seconds against the clock, each
in a thread, and counts chunks that were late or dropped. Bounded in time; compiling is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import argparse
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np

from spectrum.lora import LoraModulation, airtime_s
from testbed.twin.air import Transmission
from testbed.twin.ear import Ear
from testbed.twin.ear_source import Clock, EarSource
from testbed.twin.open_loop import open_air
from testbed.twin.scene import Impairments, Scene, read_scene
from testbed.waveforms.lora import lora_waveform
from testbed.waveforms.pieces import Waveform

STREAM_S = 5.0


def perfect(scene: Scene) -> Scene:
    """The scene with dongles that have no faults."""
    sensors = [msgspec.structs.replace(sensor, impairments=Impairments()) for sensor in scene.sensors]
    return msgspec.structs.replace(scene, sensors=tuple(sensors))


def twelve_at_once() -> list[Transmission]:
    """Twelve devices whose frames of SF12 follow each other without a pause."""
    modulation = LoraModulation(12)
    length_s = airtime_s(modulation, 20)
    return [
        Transmission(
            transmission_id=100 * device + k, kind="lora", start_s=k * length_s, airtime_s=length_s,
            center_hz=867.1e6 + 200e3 * (device % 8), bandwidth_hz=125e3, eirp_dbm=14.0, x_m=900.0, y_m=900.0,
            source=f"device{device}", payload=bytes([device] * 20), spreading_factor=12,
        )
        for device in range(12)
        for k in range(1 + int(STREAM_S / length_s))
    ]  # fmt: skip


def stream_ratio(scene: Scene, air: Callable[[], Callable[[float, float], list[Transmission]]]) -> float:
    """Seconds of stream for all sensors of a scene together in a second of this core."""
    transmissions = air()
    ears = [Ear(scene, sensor, transmissions) for sensor in scene.sensors]
    chunks = round(STREAM_S / 0.01)
    start_s = time.process_time()
    for _ in range(chunks):
        for ear in ears:
            ear.chunk()
    return STREAM_S / (time.process_time() - start_s)


def numpy_frame(waveform: Waveform, rate_hz: float) -> np.ndarray:
    """A frame by its definition, piece for piece."""
    iq = np.zeros(round(waveform.duration_s * rate_hz), dtype=np.complex64)
    columns = (
        waveform.begins_s, waveform.ends_s, waveform.phase_turns, waveform.frequency_hz, waveform.slope_hz_s,
        waveform.amplitude,
    )  # fmt: skip
    for begins_s, ends_s, phase, frequency_hz, slope_hz_s, amplitude in zip(*columns, strict=True):
        low, high = np.ceil(np.array([begins_s, ends_s]) * rate_hz - 1e-6).astype(int)
        u = np.arange(low, high) / rate_hz - begins_s
        iq[low:high] += amplitude * np.exp(2j * np.pi * (phase + frequency_hz * u + slope_hz_s * u * u / 2))
    return iq


def numpy_ratio() -> float:
    """Seconds of stream for two sensors with twelve devices always on the air, by numpy alone and without noise."""
    waveform = lora_waveform(LoraModulation(12), bytes(20))
    start_s = time.process_time()
    numpy_frame(waveform, 2.4e6)
    return waveform.duration_s / (time.process_time() - start_s) / 24


def live(scene: Scene, seconds: float) -> dict[str, float]:
    """Both sensors in real time in threads of this process; what was late or dropped."""
    transmissions, lock = open_air(scene), threading.Lock()

    def between(from_s: float, until_s: float) -> list[Transmission]:
        with lock:
            return transmissions(from_s, until_s)

    start_s, stop = time.monotonic(), threading.Event()
    clock = Clock(lambda: time.monotonic() - start_s, stop.wait)
    sources = [EarSource(Ear(scene, sensor, between), clock) for sensor in scene.sensors]
    threads = [threading.Thread(target=lambda one=one: [None for _ in one.blocks()]) for one in sources]
    before_s = time.process_time()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    share = (time.process_time() - before_s) / seconds
    paces = [source.pace for source in sources]
    return {
        "seconds": seconds,
        "core_share": share,
        "chunks": sum(pace.chunks for pace in paces),
        "late": sum(pace.late for pace in paces),
        "dropped": sum(pace.dropped for pace in paces),
    }


def machine() -> str:
    """What this ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    return f"{processor}, one core, Python {platform.python_version()}, numpy {np.__version__}"


def main() -> None:
    """Print medians, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--live", type=float, default=0.0, metavar="S")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    scene = read_scene(ROOT / "hardware" / "scenes" / "dozen.toml")
    busy = twelve_at_once()
    from testbed.twin import kernels

    kernels.warm_up()
    cases: dict[str, Callable[[], float]] = {
        "scene dozen": lambda: stream_ratio(scene, lambda: open_air(scene)),
        "without impairments": lambda: stream_ratio(perfect(scene), lambda: open_air(scene)),
        "nothing on the air": lambda: stream_ratio(perfect(scene), lambda: lambda low, high: []),
        "twelve frames at every moment": lambda: stream_ratio(
            perfect(scene), lambda: lambda low, high: [one for one in busy if one.overlaps(low, high)]
        ),
        "the same by numpy, without noise": numpy_ratio,
    }
    found: dict[str, object] = {"machine": machine()}
    for name, case in cases.items():
        found[name] = statistics.median(case() for _ in range(options.repeats))
    frames, plain = (found[name] for name in list(cases)[-2:])
    assert isinstance(frames, float)
    assert isinstance(plain, float)
    found["ratio of the last two"] = frames / plain
    if options.live > 0:
        found["live"] = live(scene, options.live)
    if options.json:
        print(json.dumps(found))
        return
    print(found.pop("machine"))
    print("seconds of stream, two sensors together, in a second of the core (median):")
    for name, value in found.items():
        print(f"  {name:34} {value:.2f}" if isinstance(value, float) else f"  {name}: {value}")


if __name__ == "__main__":
    main()
