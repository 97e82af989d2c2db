"""The scene file: what stands where on a map, what it sends, and who listens. Parsed once into frozen values.

Times are seconds from the scene's start, places metres east (x) and north (y) of the map's south-west corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from spectrum.errors import BadInput
from spectrum.sigfox import MAX_PAYLOAD_BYTES
from spectrum.site_file import ControllerTable, Name, NotNegative, Positive, Probability, SpectrumTable
from spectrum.toml_files import decode_toml, read_text

Coordinate = Annotated[float, Meta(ge=0, le=100_000)]
SpreadingFactor = Annotated[int, Meta(ge=7, le=12)]

# Level at the antenna that fills the converter of a sensor whose gain is 0 dB; with 43.4 dB it is -68.4 dBm. A choice
# of this model: real dongles differ by some dB and are calibrated, see docs/sensing.md.
FULL_SCALE_AT_0_DB_DBM: Final = -25.0

# The most a class A device of EU868 puts on the air: 14 dBm e.r.p.
DEVICE_EIRP_DBM: Final = 16.15

EXAMPLE: Final = "hardware/scenes/quiet.toml"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: immutable, and a key it does not know is an error."""


class Map(_Table, frozen=True, kw_only=True):
    """`[map]`: the size of the ground, in metres. origin: latitude and longitude of its corner, for the console."""

    width_m: Positive = 1000.0
    height_m: Positive = 1000.0
    origin: tuple[float, float] | None = None


class Propagation(_Table, frozen=True, kw_only=True):
    """`[propagation]`: loss(d) = reference_loss_db + 10 exponent log10(d / reference_m), then shadowing and fading.

    shadowing_db: standard deviation of the log-normal part, drawn once for each link. fading: drawn for each packet and
    receiver. rician_k_db: power of the direct path over the scattered ones. noise_figure_db: of every receiver that
    has none of its own. reference_loss_db: None for 20 log10(f / MHz) - 28 dB at 1 m (notes 3.B.1).
    """

    exponent: Annotated[float, Meta(ge=1, le=8)] = 3.5
    reference_m: Positive = 1.0
    reference_loss_db: float | None = None
    shadowing_db: Annotated[float, Meta(ge=0, le=30)] = 0.0
    fading: Literal["none", "rayleigh", "rician"] = "none"
    rician_k_db: Annotated[float, Meta(ge=-20, le=40)] = 6.0
    noise_figure_db: Annotated[float, Meta(ge=0, le=30)] = 6.0


class Impairments(_Table, frozen=True, kw_only=True):
    """`[sensors.impairments]`: what a dongle does to all it hears.

    ppm: error of its crystal. dc_offset_dbfs: level of a constant in the samples, None for none. iq_gain_db,
    iq_phase_deg: imbalance of its two branches. phase_noise_hz: linewidth of its oscillator (a Wiener phase).
    clip_dbfs: amplitude beyond which the front end limits, relative to full scale (the converter itself clips at 0).
    """

    ppm: Annotated[float, Meta(ge=-200, le=200)] = 0.0
    dc_offset_dbfs: Annotated[float, Meta(ge=-120, le=0)] | None = None
    iq_gain_db: Annotated[float, Meta(ge=-6, le=6)] = 0.0
    iq_phase_deg: Annotated[float, Meta(ge=-45, le=45)] = 0.0
    phase_noise_hz: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    clip_dbfs: Annotated[float, Meta(ge=-60, le=0)] = 0.0


class Sensor(_Table, frozen=True, kw_only=True):
    """`[[sensors]]`: a dongle on the map. pf, pm, interval_s, memory_s: of its daemon, see `[[sensor]]` of a site."""

    name: Name
    x_m: Coordinate
    y_m: Coordinate
    gain_db: Annotated[float, Meta(ge=0, le=60)] = 43.4
    center_hz: Positive = 868.0125e6
    rate_hz: Positive = 2.4e6
    noise_figure_db: Annotated[float, Meta(ge=0, le=30)] | None = None
    interval_s: Positive = 0.01
    pf: Probability = 0.05
    pm: Probability = 0.1
    memory_s: Positive = 60.0
    impairments: Impairments = Impairments()

    @property
    def full_scale_dbm(self) -> float:
        """Level at the antenna of a sinusoid that just fills the converter (0 dBFS)."""
        return FULL_SCALE_AT_0_DB_DBM - self.gain_db


class Gateway(_Table, frozen=True, kw_only=True):
    """`[[gateways]]`: a LoRa gateway. demodulation_paths: 8 in the SX1301."""

    name: Name
    x_m: Coordinate
    y_m: Coordinate
    noise_figure_db: Annotated[float, Meta(ge=0, le=30)] | None = None
    antenna_gain_dbi: Annotated[float, Meta(ge=0, le=20)] = 0.0
    demodulation_paths: Annotated[int, Meta(ge=1, le=1024)] = 8


class Traffic(_Table, frozen=True, kw_only=True):
    """What one device, or each of a group, is and sends.

    kind: `lora` or `sigfox`. controlled: under the agent; a LoRa device otherwise belongs to a strange network and hops
    over the three default channels, a SigFox endpoint is a commercial one. spreading_factor: None for the lowest that
    its nearest gateway hears with 10 dB to spare. payload_bytes: of the application. period_s: between two reports;
    traffic: `periodic` with jitter_s either way, or `poisson`. lorawan, activation: see `[[device]]` of a site file.
    """

    name: Name
    kind: Literal["lora", "sigfox"] = "lora"
    controlled: bool = True
    spreading_factor: SpreadingFactor | None = None
    coding_rate: Annotated[int, Meta(ge=1, le=4)] = 1
    payload_bytes: Annotated[int, Meta(ge=0, le=222)] = 10
    period_s: Positive = 60.0
    traffic: Literal["periodic", "poisson"] = "periodic"
    jitter_s: NotNegative = 0.0
    eirp_dbm: Annotated[float, Meta(ge=-30, le=36)] = DEVICE_EIRP_DBM
    lorawan: Literal["1.0.3", "1.0.4"] = "1.0.4"
    activation: Literal["otaa", "abp"] = "abp"


class Device(Traffic, frozen=True, kw_only=True):
    """`[[devices]]`: one device at a place."""

    x_m: Coordinate
    y_m: Coordinate


class DeviceGroup(Traffic, frozen=True, kw_only=True):
    """`[[device_groups]]`: `count` alike ones, spread evenly over `area`: (x, y, radius) in metres, None: the map."""

    count: Annotated[int, Meta(ge=1, le=100_000)]
    area: tuple[Coordinate, Coordinate, Positive] | None = None


class Interferer(_Table, frozen=True, kw_only=True):
    """`[[interferers]]`: something that is not ours, between from_s and until_s.

    kind: `carrier` (continuous), `burst` (a carrier on_s on, off_s off), `wmbus` (telegrams of on_s, FSK at 100
    kchip/s, exponential pauses of off_s on average), `recording` (the IQ of `file`, again and again, whose full scale
    is eirp_dbm). bandwidth_hz: None for the kind's own.
    """

    name: Name
    kind: Literal["carrier", "burst", "wmbus", "recording"] = "carrier"
    center_hz: Positive
    x_m: Coordinate
    y_m: Coordinate
    eirp_dbm: Annotated[float, Meta(ge=-60, le=60)] = 14.0
    from_s: NotNegative = 0.0
    until_s: NotNegative | None = None
    on_s: Positive = 0.05
    off_s: Positive = 0.5
    bandwidth_hz: Positive | None = None
    file: str | None = None

    @property
    def occupied_hz(self) -> float:
        """Bandwidth it fills: a carrier 100 Hz, a wM-Bus telegram 200 kHz (EN 13757-4, mode C and T)."""
        if self.bandwidth_hz is not None:
            return self.bandwidth_hz
        return {"carrier": 100.0, "burst": 100.0, "wmbus": 200e3, "recording": 250e3}[self.kind]


class Steering(_Table, frozen=True, kw_only=True):
    """`[steering]`: how the agent moves LoRaWAN devices, see `[gateway.lorawan]` of a site file."""

    channels: Annotated[int, Meta(ge=1, le=3)] = 3
    lease_s: Positive = 1800.0
    replan_after_lost: Annotated[int, Meta(ge=1, le=10)] | None = None
    rx2_for_commands: bool = False


class Phases(_Table, frozen=True, kw_only=True):
    """`[phases]`: how a run's deliveries are told apart.

    warm_up_s: nothing before it counts. settle_s: what starts so long after the first change of an interferer counts as
    `during`, what comes later as `after`.
    """

    warm_up_s: NotNegative = 5.0
    settle_s: NotNegative = 15.0


class Scene(_Table, frozen=True, kw_only=True):
    """A whole scene file. seconds: how long a run lasts that is not told otherwise."""

    name: Name
    seed: Annotated[int, Meta(ge=0, le=2**53)] = 1
    seconds: Positive = 60.0
    map: Map = Map()
    propagation: Propagation = Propagation()
    sensors: tuple[Sensor, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    devices: tuple[Device, ...] = ()
    device_groups: tuple[DeviceGroup, ...] = ()
    interferers: tuple[Interferer, ...] = ()
    spectrum: SpectrumTable = SpectrumTable()
    controller: ControllerTable = ControllerTable()
    steering: Steering = Steering()
    phases: Phases = Phases()


def parse_scene(text: str, file_name: str) -> Scene:
    """The scene in `text`; `file_name` is for the messages of BadInput."""
    scene = decode_toml(text, Scene, file_name)
    for objection in _objections(scene):
        raise BadInput(f"{file_name}: {objection}")
    return scene


def read_scene(path: Path | str) -> Scene:
    """The scene in a file, with recordings found beside it; BadInput when it is missing, unreadable or wrong."""
    scene = parse_scene(read_text(path, "scene", EXAMPLE), str(path))
    found = []
    for interferer in scene.interferers:
        if interferer.file is not None:
            place = Path(path).parent / interferer.file
            if not place.is_file():
                raise BadInput(f"{path}: interferer {interferer.name} has the file {interferer.file}, and no such file")
            interferer = msgspec.structs.replace(interferer, file=str(place))
        found.append(interferer)
    return msgspec.structs.replace(scene, interferers=tuple(found))


def _objections(scene: Scene) -> list[str]:
    """What the types cannot say."""
    places: list[Sensor | Gateway | Device | Interferer] = [
        *scene.sensors, *scene.gateways, *scene.devices, *scene.interferers
    ]  # fmt: skip
    if endless := _not_finite(scene, ""):
        return [f"`{endless}` must be a finite number"]
    names = [*(place.name for place in places), *(group.name for group in scene.device_groups)]
    found = [f"two things are called {name}: every name stands once" for name in sorted(_twice(names))]
    found += [
        f"{place.name} stands at ({place.x_m:g}, {place.y_m:g}) m, beyond the map of {scene.map.width_m:g} by "
        f"{scene.map.height_m:g} m"
        for place in places
        if place.x_m > scene.map.width_m or place.y_m > scene.map.height_m
    ]
    for traffic in (*scene.devices, *scene.device_groups):
        if traffic.kind == "sigfox" and traffic.payload_bytes > MAX_PAYLOAD_BYTES:
            found.append(f"{traffic.name} has payload_bytes = {traffic.payload_bytes}: SigFox carries at most 12")
        if traffic.jitter_s >= traffic.period_s:
            found.append(f"{traffic.name} has jitter_s = {traffic.jitter_s:g}: it must be below its period_s")
    for interferer in scene.interferers:
        if interferer.until_s is not None and interferer.until_s <= interferer.from_s:
            found.append(f"interferer {interferer.name} has until_s = {interferer.until_s:g}: it must be after from_s")
        if (interferer.kind == "recording") != (interferer.file is not None):
            found.append(f'interferer {interferer.name}: `file` goes with kind = "recording", and with no other')
    if (scene.devices or scene.device_groups) and not scene.gateways:
        found.append("there are devices and no [[gateways]] that could hear them")
    return found


def _not_finite(value: object, path: str) -> str:
    """Where an infinity or NaN stands, empty when nowhere."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else path
    inner: list[tuple[str, object]] = []
    if isinstance(value, msgspec.Struct):
        inner = [(f"{path}.{name}".lstrip("."), getattr(value, name)) for name in value.__struct_fields__]
    elif isinstance(value, tuple):
        inner = [(f"{path}[{number}]", one) for number, one in enumerate(value)]
    return next((found for name, one in inner if (found := _not_finite(one, name))), "")


def _twice(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}
