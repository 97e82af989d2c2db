"""Section 5 of the RRM paper as scenarios: the grid of its figures under the readings that can reproduce it.

The paper leaves open what a duty cycle of 2 % or 0.9 % means for devices with one or two packets a minute. Two readings
give the load that its claims need (notes 1.4): `E`, a frame lasts duty cycle x 1 s on 5 subchannels; `F`, frames of
66.048 ms on 16 subchannels, whose number scales with the duty cycle. The literal reading is simulated beside them.
"""

from __future__ import annotations

from typing import Final

from planning.simulate.scenario import Scenario
from spectrum.energy import PAPER_ENERGY_PER_PACKET_J

DEVICES: Final = (50, 100, 200, 400, 600, 800, 900, 1000)
# The mean of claim (e) is over these (notes 1.4.3).
EFFICIENCY_DEVICES: Final = (50, *range(100, 1001, 100))
DUTY_CYCLES: Final = (0.02, 0.009)
# Name: (policy, N); the paper's "none" is the standards' random access.
POLICIES: Final = {"random": ("random", 1), "N=2": ("algorithm1", 2), "N=5": ("algorithm1", 5)}
POWERS_DBM: Final = (10.0, 14.0)

# Sensing errors the paper allows (section 4): Pm 0.1, Pf 0.2.
PAPER_PF: Final = 0.2
PAPER_PM: Final = 0.1

# Subchannels, and what the duty cycle sets.
READINGS: Final = {"E": (5, "airtime"), "F": (16, "accesses"), "literal": (16, "limit")}

# SigFox airtimes per (12 bytes, 6 bytes) under the three readings of the notes (1.3.3), in seconds.
SIGFOX_AIRTIMES_S: Final = {
    "frame": (2.08, 1.76),
    "14 B + payload": (2.08, 1.60),
    "payload only": (0.96, 0.48),
}
# Subchannels over which SigFox's load is swept, at 1000 devices: from nearly empty to saturated.
SIGFOX_SUBCHANNELS: Final = (20, 30, *range(40, 240, 10), 240, 270, 300, 400, 600, 1920)
SIGFOX_DEVICES: Final = 1000


def lora(
    reading: str,
    devices: int,
    duty_cycle: float,
    policy: str,
    runs: int,
    seed: int,
    *,
    pf: float = 0.0,
    pm: float = 0.0,
    access: str = "pure",
) -> Scenario:
    """One point of figures 6, 7, 10, 11, 12; energy as the paper states it per packet."""
    name, attempts = POLICIES[policy]
    subchannels, duty_reading = READINGS[reading]
    return Scenario(
        devices=devices,
        duty_cycle=duty_cycle,
        policy=name,
        attempts=attempts,
        pf=pf,
        pm=pm,
        access=access,
        energy_mj=PAPER_ENERGY_PER_PACKET_J * 1e3,
        runs=runs,
        seed=seed,
        subchannels=subchannels,
        duty_reading=duty_reading,
    )


def sigfox(
    airtime_s: float,
    payload_bytes: int,
    devices: int,
    subchannels: int,
    policy: str,
    runs: int,
    seed: int,
    *,
    duty_cycle: float = 0.02,
    pf: float = 0.0,
    pm: float = 0.0,
) -> Scenario:
    """One point of figures 8 and 9: three copies, each allocated and counted by itself."""
    name, attempts = POLICIES[policy]
    return Scenario(
        technology="sigfox",
        devices=devices,
        subchannels=subchannels,
        payload_bytes=payload_bytes,
        copies=3,
        fixed_airtime_s=airtime_s,
        duty_cycle=duty_cycle,
        duty_reading="accesses",
        policy=name,
        attempts=attempts,
        pf=pf,
        pm=pm,
        power_dbm=14.0,
        runs=runs,
        seed=seed,
    )
