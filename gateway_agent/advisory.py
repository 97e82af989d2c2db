"""Advice for a network server that stands already: which channels each device should have, as JSON and as ChirpStack's
region configuration. Pure.

A ChirpStack ADR plugin returns data rate, power and repetitions, but no channels: so the advice is for whoever runs
that server. Its regions know extra channels for all devices alike; the plan of one device is in the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway_agent.lorawan import mac_commands, steering
from gateway_agent.lorawan.region_eu868 import (
    DEFAULT_CHANNELS_HZ,
    HIGHEST_125KHZ_DATA_RATE,
    RX1_DELAY_S,
    RX2_CENTER_HZ,
    RX2_DATA_RATE,
)
from gateway_agent.lorawan.steering import DeviceState, Plan
from spectrum.eu868 import SIGFOX_UPLINK, Subchannel
from spectrum.site_file import MqttTable


def device_advice(name: str, dev_eui: str | None, plan: Plan) -> dict[str, Any]:
    """What a device that has just joined would have to be told: all commands, one downlink each."""
    downlinks = []
    state = DeviceState(keeps_with_15=True)
    while commands := steering.next_commands(state, plan):
        downlinks.append(mac_commands.encode(commands).hex())
        state, _ = steering.after_uplink(steering.told(state, commands), [_yes(command) for command in commands])
    channels = [
        {"index": i, "center_hz": state.channels[i].center_hz, "enabled": bool(state.mask >> i & 1)}
        for i in sorted(state.channels)
    ]
    return {
        "device": name,
        "dev_eui": dev_eui,
        "centers_hz": list(plan.centers_hz),
        "channels": channels,
        "channel_mask": state.mask,
        "downlinks_f_opts": downlinks,
    }


def _yes(command: steering.Steer) -> mac_commands.Answer:
    if isinstance(command, mac_commands.LinkADRReq):
        return mac_commands.LinkADRAns(True, True, True)
    if isinstance(command, mac_commands.NewChannelReq):
        return mac_commands.NewChannelAns(True, True)
    return mac_commands.DutyCycleAns()


def site_advice(site: str, plans: Mapping[str, tuple[str | None, Plan]], refused: Mapping[str, str]) -> dict[str, Any]:
    """The advice for all devices. refused: devices for which the controller gave no lease, and why."""
    return {
        "site": site,
        "region": "EU868",
        "devices": [device_advice(name, dev_eui, plan) for name, (dev_eui, plan) in sorted(plans.items())],
        "refused": dict(sorted(refused.items())),
        "sigfox_overlap": [
            {"center_hz": center_hz, "overlap_hz": round(overlap_hz(center_hz))}
            for center_hz in sorted({hz for _, plan in plans.values() for hz in plan.centers_hz})
            if overlap_hz(center_hz)
        ],
    }


def overlap_hz(center_hz: float, bandwidth_hz: float = 125e3) -> float:
    """Width in Hz that a LoRa channel shares with SigFox's uplink band: all 125 kHz of 868.1 MHz, none of 868.3."""
    return Subchannel(float(center_hz), bandwidth_hz).overlap_hz(SIGFOX_UPLINK)


# The values of a whole region that ChirpStack's own eu868 file sets and that are not 0 or false: a key left out of
# `[regions.network]` counts as 0 there, and a second receive window at 0 Hz is none.
NETWORK: Final = {
    "installation_margin": 10,
    "rx1_delay": RX1_DELAY_S,
    "rx2_frequency": RX2_CENTER_HZ,
    "rx2_dr": RX2_DATA_RATE,
    "downlink_tx_power": -1,
    "min_dr": 0,
    "max_dr": HIGHEST_125KHZ_DATA_RATE,
}


def chirpstack_region(plans: Sequence[Plan], mqtt: MqttTable) -> str:
    """`region_eu868.toml` for ChirpStack 4, to put in that file's place: channels of the plans, and who is left on.

    ChirpStack keeps one channel plan for a region; `enabled_uplink_channels` is the union of all plans, so a channel
    that no device should use is switched off for all. mqtt: the broker its gateway bridges speak to.
    """
    wanted = sorted({center_hz for plan in plans for center_hz in plan.centers_hz})
    extras = [center_hz for center_hz in wanted if center_hz not in DEFAULT_CHANNELS_HZ]
    places = {center_hz: i for i, center_hz in enumerate([*DEFAULT_CHANNELS_HZ, *extras])}
    enabled = sorted(places[center_hz] for center_hz in wanted)
    prefix = f"{mqtt.topic_prefix}/" if mqtt.topic_prefix else ""
    scheme = "tcp" if mqtt.tls_ca is None else "ssl"
    lines = [
        "[[regions]]",
        'id = "eu868"',
        'description = "EU868"',
        'common_name = "EU868"',
        "",
        "[regions.gateway.backend]",
        'enabled = "mqtt"',
        "",
        "[regions.gateway.backend.mqtt]",
        f'event_topic = "{prefix}gateway/+/event/+"',
        f'command_topic = "{prefix}gateway/{{{{ gateway_id }}}}/command/{{{{ command }}}}"',
        f'server = "{scheme}://{mqtt.host}:{mqtt.port}"',
    ]
    for center_hz in places:
        lines += ["", "[[regions.gateway.channels]]", f"frequency = {center_hz}", "bandwidth = 125000"]
        lines += ['modulation = "LORA"', "spreading_factors = [7, 8, 9, 10, 11, 12]"]
    lines += ["", "[regions.network]", f"enabled_uplink_channels = {enabled}"]
    lines += [f"{key} = {value}" for key, value in NETWORK.items()]
    for center_hz in extras:
        lines += ["", "[[regions.network.extra_channels]]", f"frequency = {center_hz}"]
        lines += ["min_dr = 0", f"max_dr = {HIGHEST_125KHZ_DATA_RATE}"]
    return "\n".join(lines) + "\n"
