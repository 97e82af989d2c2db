"""SigFox RC1 uplink: frame length, airtime, micro-channels (notes 1.3.3 and 6.5)."""

from __future__ import annotations

from typing import Final

from spectrum.errors import BadInput
from spectrum.eu868 import SIGFOX_UPLINK, Subchannel

BIT_RATE: Final = 100.0  # bit/s in RC1
COPIES: Final = 3  # each message is sent three times on three frequencies
MAX_PAYLOAD_BYTES: Final = 12
MICRO_CHANNEL_HZ: Final = 100.0

# Payload classes in bytes: a payload is sent in the smallest that holds it (0 B carries one bit).
PAYLOAD_CLASSES_BYTES: Final = (0, 1, 4, 8, 12)


def frame_bits(payload_bytes: int) -> int:
    """Bits of one uplink frame: preamble 19, sync and type 29, identity 32, class and authentication 8(c+2), CRC 16."""
    if not 0 <= payload_bytes <= MAX_PAYLOAD_BYTES:
        raise BadInput(f"a SigFox payload has 0 to {MAX_PAYLOAD_BYTES} bytes, got {payload_bytes}")
    carried = next(size for size in PAYLOAD_CLASSES_BYTES if size >= payload_bytes)
    return 19 + 29 + 32 + 8 * (carried + 2) + 16


def airtime_s(payload_bytes: int) -> float:
    """Time on air of one of the three copies: 2.08 s for 12 bytes, 1.76 s for 5 to 8."""
    return frame_bits(payload_bytes) / BIT_RATE


def micro_channel(index: int) -> Subchannel:
    """The 100 Hz micro-channel `index` (0..1919), counted from the lower edge of the uplink band."""
    count = round(SIGFOX_UPLINK.bandwidth_hz / MICRO_CHANNEL_HZ)
    if not 0 <= index < count:
        raise BadInput(f"a SigFox micro-channel is 0 to {count - 1}, got {index}")
    return Subchannel(SIGFOX_UPLINK.low_hz + (index + 0.5) * MICRO_CHANNEL_HZ, MICRO_CHANNEL_HZ)


def micro_channel_groups(count: int, center_hz: float = SIGFOX_UPLINK.center_hz) -> tuple[Subchannel, ...]:
    """The uplink band cut into `count` equal groups of micro-channels, lowest first, around `center_hz`."""
    total = round(SIGFOX_UPLINK.bandwidth_hz / MICRO_CHANNEL_HZ)
    if count < 1 or total % count:
        raise BadInput(f"the number of groups must divide {total} micro-channels, got {count}")
    width_hz = SIGFOX_UPLINK.bandwidth_hz / count
    return tuple(Subchannel(center_hz + (i + 0.5 - count / 2) * width_hz, width_hz) for i in range(count))
