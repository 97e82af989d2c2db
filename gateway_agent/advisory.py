"""Advice for a network server that stands already: which channels each device should have, as JSON and as ChirpStack's
region configuration. Pure.

A ChirpStack ADR plugin returns data rate, power and repetitions, but no channels: so the advice is for whoever runs
that server. Its regions know extra channels for all devices alike; the plan of one device is in the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway_agent.lorawan import mac_commands, steering
from gateway_agent.lorawan.region_eu868 import DEFAULT_CHANNELS_HZ, HIGHEST_125KHZ_DATA_RATE
from gateway_agent.lorawan.steering import DeviceState, Plan
from spectrum.eu868 import SIGFOX_UPLINK, Subchannel


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


def chirpstack_region(plans: Sequence[Plan]) -> str:
    """`region_eu868.toml` fragment for ChirpStack 4: extra channels that the plans use, and who is left on.

    ChirpStack keeps one channel plan for a region; `enabled_uplink_channels` is the union of all plans, so a channel
    that no device should use is switched off for all.
    """
    wanted = sorted({center_hz for plan in plans for center_hz in plan.centers_hz})
    extras = [center_hz for center_hz in wanted if center_hz not in DEFAULT_CHANNELS_HZ]
    places = {center_hz: i for i, center_hz in enumerate([*DEFAULT_CHANNELS_HZ, *extras])}
    enabled = sorted(places[center_hz] for center_hz in wanted)
    lines = [
        "[[regions]]",
        'id = "eu868"',
        'common_name = "EU868"',
        "",
        "[regions.network]",
        f"enabled_uplink_channels = {enabled}",
    ]
    for center_hz in extras:
        lines += [
            "",
            "[[regions.network.extra_channels]]",
            f"frequency = {center_hz}",
            "min_dr = 0",
            f"max_dr = {HIGHEST_125KHZ_DATA_RATE}",
        ]
    return "\n".join(lines) + "\n"
