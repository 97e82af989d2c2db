"""Recordings of the twin: SigMF with the truth beside the samples, within a limit of bytes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from sensing.sigmf_files import sigmf_text
from spectrum.errors import BadInput, Failed
from testbed.twin.air import Transmission
from testbed.twin.ear import Ear, Transmissions
from testbed.twin.scene import Scene, Sensor
from testbed.twin.truth import NAMESPACE, REFERENCE_HZ, annotation_of

SAMPLE_BYTES: Final = 2
DATA_SUFFIX: Final = ".sigmf-data"
META_SUFFIX: Final = ".sigmf-meta"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded, where. clipped: I and Q values that were cut off."""

    meta: Path
    data: Path
    samples: int
    transmissions: int
    clipped: int
    sha512: str


def sensor_named(scene: Scene, name: str | None) -> Sensor:
    """A scene's sensor, the first without a name; BadInput when there is none."""
    if not scene.sensors:
        raise BadInput(f"scene {scene.name} has no [[sensors]]: one has to listen")
    for sensor in scene.sensors:
        if name in (None, sensor.name):
            return sensor
    known = ", ".join(sensor.name for sensor in scene.sensors)
    raise BadInput(f"scene {scene.name} has no sensor {name!r}: expected one of {known}")


def check_room(scene: Scene, sensor: Sensor, seconds: float, most_bytes: int, base: Path) -> int:
    """Bytes that `seconds` will take; BadInput or Failed when that is too many, or something stands there already."""
    needed = SAMPLE_BYTES * round(seconds * sensor.rate_hz)
    if needed > most_bytes:
        raise BadInput(
            f"{seconds:g} s of {sensor.name} take {needed} bytes, more than the {most_bytes} allowed: "
            "record fewer --seconds or allow more with --max-bytes"
        )
    for path in (base.with_name(base.name + DATA_SUFFIX), base.with_name(base.name + META_SUFFIX)):
        if path.exists():
            raise BadInput(f"{path} exists already: choose another --out")
    folder = base.parent
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder to record into: make it, or choose another --out")
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Failed(f"{folder} has {free} bytes free, fewer than the {needed} needed: record fewer --seconds")
    return needed


def record(
    scene: Scene,
    sensor: Sensor,
    transmissions: Transmissions,
    seconds: float,
    base: Path,
    advance: Callable[[int], object] = lambda samples: None,
) -> Recorded:
    """Record `seconds` of what a sensor hears from the scene's start into base.sigmf-data and base.sigmf-meta.

    The metadata comes last and whole. advance: told of samples as they are made.
    """
    samples = round(seconds * sensor.rate_hz)
    heard: dict[int, Transmission] = {}

    def noted(from_s: float, until_s: float) -> list[Transmission]:
        found = list(transmissions(from_s, until_s))
        heard.update((one.transmission_id, one) for one in found)
        return found

    ear = Ear(scene, sensor, noted)
    data, meta = base.with_name(base.name + DATA_SUFFIX), base.with_name(base.name + META_SUFFIX)
    try:
        sha512 = _write_samples(ear, samples, data, advance)
        text, count = _metadata(ear, list(heard.values()), samples, sha512)
        fresh = meta.with_name(meta.name + ".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(meta)
    except OSError as error:
        raise Failed(f"recording into {data} stopped: {error.strerror or error}") from None
    return Recorded(meta, data, samples, count, ear.clipped, sha512)


def _write_samples(ear: Ear, samples: int, data: Path, advance: Callable[[int], object]) -> str:
    """Write so many samples into a new file and return their digest; a file that was broken off is taken away."""
    digest = hashlib.sha512()
    with data.open("xb") as file:
        try:
            left = samples
            while left > 0:
                made = ear.chunk()[: SAMPLE_BYTES * left].tobytes()
                file.write(made)
                digest.update(made)
                left -= len(made) // SAMPLE_BYTES
                advance(len(made) // SAMPLE_BYTES)
        except BaseException:
            data.unlink()
            raise
    return digest.hexdigest()


def _metadata(ear: Ear, heard: list[Transmission], samples: int, sha512: str) -> tuple[str, int]:
    """Text of the metadata, checked by the sigmf library, and how many transmissions it tells of."""
    found = [annotation_of(ear, one, samples) for one in heard]
    annotations: list[dict[str, Any]] = sorted(
        (one for one in found if one is not None),
        key=lambda one: (one["core:sample_start"], one["airshed:transmission"]),
    )
    sensor = ear.sensor
    info = {
        "core:datatype": "cu8",
        "core:sample_rate": sensor.rate_hz,
        "core:recorder": "airshed testbed",
        "core:hw": f"virtual dongle {sensor.name}, gain {sensor.gain_db:g} dB",
        "core:description": f"scene {ear.scene.name}, seed {ear.seed}: {len(annotations)} transmissions, all annotated",
        "core:sha512": sha512,
        "core:extensions": [NAMESPACE],
        "airshed:scene": ear.scene.name,
        "airshed:seed": ear.seed,
        "airshed:sensor": msgspec.to_builtins(sensor),
        "airshed:full_scale_dbm": sensor.full_scale_dbm,
        "airshed:noise_dbfs": ear.noise_dbfs(REFERENCE_HZ),
        "airshed:noise_bandwidth_hz": REFERENCE_HZ,
    }
    capture = {"core:sample_start": 0, "core:frequency": sensor.center_hz}
    return sigmf_text(info, [capture], annotations), len(annotations)
