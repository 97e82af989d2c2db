"""Virtual gateways: which frames a gateway decodes, and why it loses the others. By rule, not by demodulating.

A LoRa frame is decoded when
- its level reaches the sensitivity of its spreading factor, and over noise the SNR it needs (`below_sensitivity`);
- the gateway sends nothing meanwhile (`gateway_sending`);
- one of the demodulation paths is free when it starts (`no_demodulation_path`);
- over all frames of its own spreading factor on its channel, added up, it has CAPTURE_DB (`same_factor`);
- over those of other spreading factors, and downlinks (whose chirps are inverted), with the noise, it has the SIR of
  its own (`other_factor`);
- over noise and whatever else falls into its channel (carriers, telegrams, SigFox), it has its SNR (`interference`).
What ends before the last LOCK_SYMBOLS of a preamble begin does no harm: the receiver locks on to clean symbols.

A SigFox copy needs NEEDED_SIGFOX_SNR_DB over noise and everything else in its 100 Hz; as many as one likes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from spectrum.lora import LORAWAN_PREAMBLE_SYMBOLS
from spectrum.units import dbm_from_mw, linear_from_db, mw_from_dbm
from testbed.twin.air import Transmission, noise_dbm, received_power_dbm
from testbed.twin.scene import Gateway, Scene

# Semtech's SX1301 with the reference design, 125 kHz (datasheet V2.4: -139.5 dBm at SF12).
SENSITIVITY_DBM: Final = {7: -126.5, 8: -129.0, 9: -131.5, 10: -134.0, 11: -136.5, 12: -139.5}

# SNR at which a frame is just demodulated (SX1276 datasheet, table 13; the SX1301's is the same modem).
NEEDED_SNR_DB: Final = {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}

# SIR over other spreading factors (table B.1 of the thesis' paper B, after Goursaud and Gorce 2015).
NEEDED_SIR_DB: Final = {7: -7.5, 8: -9.0, 9: -13.5, 10: -15.0, 11: -18.0, 12: -22.5}

# Over the sum of the own spreading factor (thesis, section 2.3 of paper B).
CAPTURE_DB: Final = 6.0
LOCK_SYMBOLS: Final = 4.0

# Differential BPSK: Eb/N0 = ln(1 / (2 BER)); 9.6 dB loses one in a hundred of SigFox's frames of 208 bits.
NEEDED_SIGFOX_SNR_DB: Final = 9.6

Reason = Literal[
    "",
    "below_sensitivity",
    "gateway_sending",
    "no_demodulation_path",
    "same_factor",
    "other_factor",
    "interference",
]
REASONS: Final[tuple[Reason, ...]] = (
    "below_sensitivity",
    "gateway_sending",
    "no_demodulation_path",
    "same_factor",
    "other_factor",
    "interference",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of the rules. lock_symbols: None makes a whole preamble vulnerable. inter_sf: whether other spreading
    factors disturb at all."""

    sensitivity_dbm: dict[int, float] = field(default_factory=lambda: dict(SENSITIVITY_DBM))
    needed_snr_db: dict[int, float] = field(default_factory=lambda: dict(NEEDED_SNR_DB))
    needed_sir_db: dict[int, float] = field(default_factory=lambda: dict(NEEDED_SIR_DB))
    capture_db: float = CAPTURE_DB
    lock_symbols: float | None = LOCK_SYMBOLS
    inter_sf: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one frame at one receiver. reason: empty when it was decoded. snr_db: over noise alone."""

    receiver: str
    power_dbm: float
    snr_db: float
    reason: Reason

    @property
    def decoded(self) -> bool:
        """Whether the frame got through here."""
        return not self.reason


def vulnerable_from_s(frame: Transmission, rules: Rules) -> float:
    """When a frame begins to be vulnerable: LOCK_SYMBOLS before its preamble ends; a SigFox copy from its start."""
    if frame.spreading_factor is None or rules.lock_symbols is None:
        return frame.start_s
    symbol_s = float(2**frame.spreading_factor) / frame.bandwidth_hz
    return frame.start_s + max(0.0, LORAWAN_PREAMBLE_SYMBOLS - rules.lock_symbols) * symbol_s


def judge(
    frame: Transmission, power_mw: float, others: Sequence[tuple[Transmission, float]], noise_mw: float, rules: Rules
) -> Reason:
    """What air and modem do to a frame of `power_mw` beside `others` (each with its power there, mW); "" is decoded.

    Of the others only those that share time and spectrum with the frame's vulnerable part count. noise_mw: in the
    frame's bandwidth.
    """
    same_mw = other_mw = foreign_mw = 0.0
    from_s = vulnerable_from_s(frame, rules)
    for other, mw in others:
        shared_hz = frame.subchannel.overlap_hz(other.subchannel)
        if (
            shared_hz <= 0.0
            or other.transmission_id == frame.transmission_id
            or not other.overlaps(from_s, frame.end_s)
        ):
            continue
        inside_mw = mw * min(1.0, shared_hz / other.bandwidth_hz)
        if frame.kind != "lora" or other.kind != "lora":
            foreign_mw += inside_mw
        elif other.spreading_factor == frame.spreading_factor and other.downlink == frame.downlink:
            same_mw += inside_mw
        else:
            other_mw += inside_mw
    if frame.spreading_factor is None:
        return "interference" if power_mw < linear_from_db(NEEDED_SIGFOX_SNR_DB) * (noise_mw + foreign_mw) else ""
    factor = frame.spreading_factor
    if power_mw < linear_from_db(rules.capture_db) * same_mw:
        return "same_factor"
    if rules.inter_sf and other_mw and power_mw < linear_from_db(rules.needed_sir_db[factor]) * (other_mw + noise_mw):
        return "other_factor"
    if power_mw < linear_from_db(rules.needed_snr_db[factor]) * (noise_mw + foreign_mw):
        return "interference"
    return ""


def hears(frame: Transmission, power_dbm: float, noise_figure_db: float, rules: Rules) -> bool:
    """Whether a frame alone on the air is strong enough."""
    snr_db = power_dbm - noise_dbm(frame.bandwidth_hz, noise_figure_db)
    if frame.spreading_factor is None:
        return snr_db >= NEEDED_SIGFOX_SNR_DB
    factor = frame.spreading_factor
    return power_dbm >= rules.sensitivity_dbm[factor] and snr_db >= rules.needed_snr_db[factor]


@dataclass(slots=True)
class _Arriving:
    """A frame on its way at one gateway. refused: what was wrong with it when it started."""

    power_mw: float
    refused: Reason


class GatewayReceiver:
    """One gateway. Tell it of every transmission as it starts and of every frame as it ends, in order of time."""

    def __init__(self, scene: Scene, gateway: Gateway, rules: Rules) -> None:
        self.gateway = gateway
        self._scene, self._rules = scene, rules
        propagation = scene.propagation
        self._figure_db = propagation.noise_figure_db if gateway.noise_figure_db is None else gateway.noise_figure_db
        self._on_air: list[tuple[Transmission, float]] = []
        self._arriving: dict[int, _Arriving] = {}
        self._paths_until_s = [float("-inf")] * gateway.demodulation_paths
        self._sending: list[tuple[float, float]] = []

    def starts(self, one: Transmission) -> None:
        """A transmission starts; a downlink of this very gateway deafens it."""
        if one.source == self.gateway.name:
            self._sending.append((one.start_s, one.end_s))
            return
        power_dbm = received_power_dbm(self._scene, one, self.gateway) + self.gateway.antenna_gain_dbi
        power_mw = mw_from_dbm(power_dbm)
        self._on_air.append((one, power_mw))
        if one.kind in ("lora", "sigfox") and not one.downlink:
            self._arriving[one.transmission_id] = _Arriving(power_mw, self._at_start(one, power_dbm))

    def _at_start(self, one: Transmission, power_dbm: float) -> Reason:
        if not hears(one, power_dbm, self._figure_db, self._rules):
            return "below_sensitivity"
        if one.kind != "lora":
            return ""
        if self._sends_during(one.start_s, one.start_s):
            return "gateway_sending"
        free = min(range(len(self._paths_until_s)), key=self._paths_until_s.__getitem__)
        if self._paths_until_s[free] > one.start_s:
            return "no_demodulation_path"
        self._paths_until_s[free] = one.end_s
        return ""

    def _sends_during(self, from_s: float, until_s: float) -> bool:
        return any(start_s <= until_s and from_s < end_s for start_s, end_s in self._sending)

    def ends(self, one: Transmission) -> Verdict:
        """A frame is over: what became of it here."""
        arriving = self._arriving.pop(one.transmission_id)
        noise_mw = mw_from_dbm(noise_dbm(one.bandwidth_hz, self._figure_db))
        reason = arriving.refused
        if not reason and self._sends_during(one.start_s, one.end_s):
            reason = "gateway_sending"
        reason = reason or judge(one, arriving.power_mw, self._on_air, noise_mw, self._rules)
        self._forget(one.end_s)
        power_dbm = dbm_from_mw(arriving.power_mw)
        return Verdict(self.gateway.name, power_dbm, power_dbm - dbm_from_mw(noise_mw), reason)

    def _forget(self, now_s: float) -> None:
        """Let go of what can disturb no frame that is still on its way."""
        arriving = self._arriving
        first_s = min((one.start_s for one, _ in self._on_air if one.transmission_id in arriving), default=now_s)
        self._on_air = [entry for entry in self._on_air if entry[0].end_s > min(first_s, now_s)]
        self._sending = [(start_s, end_s) for start_s, end_s in self._sending if end_s > min(first_s, now_s)]


def fate(verdicts: Sequence[Verdict]) -> Reason:
    """Why no gateway decoded a frame: the reason of the one that heard it best; empty when any did."""
    if any(verdict.decoded for verdict in verdicts):
        return ""
    return max(verdicts, key=lambda verdict: verdict.power_dbm).reason
