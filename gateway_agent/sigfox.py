"""SigFox: what can be planned for commercial endpoints, and the line protocol of those that run the test agent. Pure.

A commercial endpoint draws its own frequency and no command can move it. Endpoints on a testbed that run the test agent
ask before each message and obey. Lines are ASCII, end with LF, at most LONGEST_LINE bytes; over TCP or a serial line:

    endpoint: HELLO 1 DEVICE             who it is, once
    endpoint: REQUEST NUMBER BYTES       may I send a message of 0 to 12 bytes?
    agent:    SEND NUMBER COPY LOW_HZ HIGH_HZ START_US    one for each of the three copies: anywhere in [LOW, HIGH]
    agent:    REFUSED NUMBER REASON      send at random as the standard does, or not at all when REASON is duty-cycle
    endpoint: SENT NUMBER COPY CENTER_HZ a copy has left the air
    agent:    ERROR TEXT                 that line was not understood
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from spectrum.errors import BadInput
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, LORAWAN_EXTRA_CHANNELS, Subchannel
from spectrum.sigfox import COPIES, MAX_PAYLOAD_BYTES, MICRO_CHANNEL_HZ
from spectrum.site_file import Site

LONGEST_LINE: Final = 200
VERSION: Final = 1

_HELLO: Final = re.compile(r"HELLO (\d{1,3}) ([A-Za-z0-9][A-Za-z0-9._-]{0,63})")
_REQUEST: Final = re.compile(r"REQUEST (\d{1,9}) (\d{1,2})")
_SENT: Final = re.compile(r"SENT (\d{1,9}) ([0-2]) (\d{1,10})")


@dataclass(frozen=True, slots=True)
class Hello:
    """An endpoint says who it is."""

    device: str


@dataclass(frozen=True, slots=True)
class Request:
    """An endpoint wants to send a message."""

    number: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A copy has left the air."""

    number: int
    copy: int
    center_hz: int


def parse(line: str) -> Hello | Request | Sent:
    """What an endpoint says; BadInput for anything else."""
    if found := _HELLO.fullmatch(line):
        if int(found[1]) != VERSION:
            raise BadInput(f"version {VERSION} is spoken here, got {found[1]}")
        return Hello(found[2])
    if found := _REQUEST.fullmatch(line):
        if int(found[2]) > MAX_PAYLOAD_BYTES:
            raise BadInput(f"a message has 0 to {MAX_PAYLOAD_BYTES} bytes, got {found[2]}")
        return Request(int(found[1]), int(found[2]))
    if found := _SENT.fullmatch(line):
        return Sent(int(found[1]), int(found[2]), int(found[3]))
    raise BadInput("expected HELLO 1 DEVICE, REQUEST NUMBER BYTES or SENT NUMBER COPY CENTER_HZ")


def send_line(number: int, copy: int, group: Subchannel, start_us: int) -> str:
    """The agent's permission for one copy: carriers whose 100 Hz lie inside the group."""
    half_hz = MICRO_CHANNEL_HZ / 2
    return f"SEND {number} {copy} {round(group.low_hz + half_hz)} {round(group.high_hz - half_hz)} {start_us}"


def refused_line(number: int, reason: str) -> str:
    """The agent's refusal, on one line."""
    return f"REFUSED {number} {' '.join(reason.split())[:120]}"


def advisory_plan(site: Site) -> dict[str, Any]:
    """What a planner can know: groups of micro-channels, which LoRa channels cover them, and that endpoints hop anyway.

    The quietest choice for LoRa beside SigFox is to leave 868.1 MHz to it: that channel lies wholly inside the band.
    """
    lora = (*LORAWAN_DEFAULT_CHANNELS, *LORAWAN_EXTRA_CHANNELS)
    groups = [
        {
            "center_hz": group.center_hz,
            "bandwidth_hz": group.bandwidth_hz,
            "micro_channels": round(group.bandwidth_hz / MICRO_CHANNEL_HZ),
            "overlapped_by_lora_hz": [round(c.center_hz) for c in lora if c.overlap_hz(group) > 0],
        }
        for group in site.spectrum.sigfox
    ]
    free = [group["center_hz"] for group in groups if not group["overlapped_by_lora_hz"]]
    overlapping = sorted({hz for group in groups for hz in group["overlapped_by_lora_hz"]})  # type: ignore[attr-defined]
    return {
        "site": site.name,
        "copies": COPIES,
        "controllable": "only endpoints that run the test agent; commercial ones draw their own frequency",
        "groups": groups,
        "groups_free_of_lora_hz": free,
        "lora_channels_to_leave_to_sigfox_hz": overlapping,
    }
