"""The site file of a scene, and the file of its devices' keys: what the controller, the sensors and the agents read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.twin.population import Member, controlled, key_of
from testbed.twin.scene import Scene

# The second agent of a site: of SigFox's test endpoints.
SIGFOX_SUFFIX = "-sigfox"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts of a site meet on loopback. sources: of each sensor, by name, as a site file names it."""

    controller: int
    udp: int
    sigfox: int
    http: int
    sources: Mapping[str, str]


def site_toml(scene: Scene, members: Sequence[Member], ports: Ports, keys: Path) -> str:
    """The site file."""
    table = scene.controller
    lines = _table("[site]", {"name": scene.name, "origin": scene.map.origin})
    spectrum = scene.spectrum
    lines += _table("[spectrum]", {name: getattr(spectrum, name) for name in spectrum.__struct_fields__})
    controller = {name: getattr(table, name) for name in table.__struct_fields__}
    lines += _table("[controller]", {**controller, "listen": f"127.0.0.1:{ports.controller}"})
    lines += _table("[http]", {"listen": f"127.0.0.1:{ports.http}"})
    for sensor in scene.sensors:
        lines += _table(
            "[[sensor]]",
            {
                "name": sensor.name, "source": ports.sources[sensor.name], "center_hz": sensor.center_hz,
                "rate_hz": sensor.rate_hz, "gain_db": sensor.gain_db, "interval_s": sensor.interval_s,
                "pf": sensor.pf, "pm": sensor.pm, "memory_s": sensor.memory_s,
                "position_m": (sensor.x_m, sensor.y_m),
            },
        )  # fmt: skip
    lines += _gateways(scene, members, ports, keys)
    for member in controlled(members, "lora"):
        traffic = member.traffic
        lines += _table(
            "[[device]]",
            {
                "name": member.name, "gateway": agent_name(scene), "dev_eui": f"{member.dev_eui:016x}",
                "activation": traffic.activation, "lorawan": traffic.lorawan,
                "dev_addr": f"{member.dev_addr:08x}" if traffic.activation == "abp" else None,
            },
        )  # fmt: skip
    return "\n".join(lines) + "\n"


def agent_name(scene: Scene) -> str:
    """The gateway whose agent is the network server of all gateways of the scene."""
    return scene.gateways[0].name


def _gateways(scene: Scene, members: Sequence[Member], ports: Ports, keys: Path) -> list[str]:
    first = scene.gateways[0] if scene.gateways else None
    if first is None:
        return []
    place = (first.x_m, first.y_m)
    lines = []
    if controlled(members, "lora"):
        lines += _table("[[gateway]]", {"name": first.name, "radio": "semtech-udp", "position_m": place})
        lines += _table(
            "[gateway.lorawan]",
            {
                "udp_listen": f"127.0.0.1:{ports.udp}", "keys": str(keys), "channels": scene.steering.channels,
                "lease_s": scene.steering.lease_s, "replan_after_lost": scene.steering.replan_after_lost,
                "rx2_for_commands": scene.steering.rx2_for_commands,
                "antenna_gain_dbi": first.antenna_gain_dbi,
            },
        )  # fmt: skip
    if controlled(members, "sigfox"):
        name = first.name + SIGFOX_SUFFIX
        lines += _table("[[gateway]]", {"name": name, "radio": "sigfox", "position_m": place})
        lines += _table("[gateway.sigfox]", {"listen": f"127.0.0.1:{ports.sigfox}"})
    return lines


def _table(header: str, values: Mapping[str, Any]) -> list[str]:
    """A table of TOML; None is left out. JSON's strings, numbers and arrays are TOML's too."""
    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None]
    return [header, *rows, ""]


def write_keys(scene: Scene, members: Sequence[Member], path: Path) -> None:
    """The keys of the controlled LoRaWAN devices, for nobody else to read."""
    lines = []
    for member in controlled(members, "lora"):
        names = ("app",) if member.traffic.activation == "otaa" else ("nwk_s", "app_s")
        keys = {f"{name}_key": key_of(scene, member, name).hex() for name in names}
        lines += _table(f"[{member.dev_eui:016x}]", keys)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write("\n".join(lines))
