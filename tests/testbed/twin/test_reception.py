"""The rules of virtual gateways, case by case, with levels that stand just on either side of each threshold."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from spectrum.lora import LoraModulation, airtime_s
from spectrum.units import mw_from_dbm
from testbed.twin.air import Transmission, noise_dbm, received_power_dbm
from testbed.twin.reception import (
    CAPTURE_DB,
    NEEDED_SIGFOX_SNR_DB,
    NEEDED_SIR_DB,
    NEEDED_SNR_DB,
    SENSITIVITY_DBM,
    GatewayReceiver,
    Rules,
    Verdict,
    fate,
    judge,
    vulnerable_from_s,
)
from testbed.twin.scene import Gateway, Propagation, Scene

NUMBERS = itertools.count(1)
# At the gateway's own place the loss is none: levels at the gateway are those that are sent.
HERE = Scene(name="s", propagation=Propagation(reference_loss_db=0.0, noise_figure_db=0.0))
GATEWAY = Gateway(name="g", x_m=0.0, y_m=0.0)
EPSILON_DB = 0.01


def frame(level_dbm: float = -80.0, factor: int | None = 7, start_s: float = 0.0, **changes: object) -> Transmission:
    """A frame of 20 bytes that arrives with a level."""
    length_s = 2.0 if factor is None else airtime_s(LoraModulation(factor), 20)
    plain = Transmission(
        transmission_id=next(NUMBERS), kind="sigfox" if factor is None else "lora", start_s=start_s,
        airtime_s=length_s, center_hz=868.1e6, bandwidth_hz=100.0 if factor is None else 125e3, eirp_dbm=level_dbm,
        x_m=0.0, y_m=0.0, source=f"device-{next(NUMBERS)}", spreading_factor=factor,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def hear(*transmissions: Transmission, gateway: Gateway = GATEWAY, rules: Rules | None = None) -> dict[int, Verdict]:
    """What one gateway makes of them, in order of time: ends before starts at the same instant."""
    receiver = GatewayReceiver(HERE, gateway, rules or Rules())
    events = [(one.start_s, 1, one) for one in transmissions]
    events += [(one.end_s, 0, one) for one in transmissions if one.kind in ("lora", "sigfox") and not one.downlink]
    found = {}
    for _, starts, one in sorted(events, key=lambda event: event[:2]):
        if starts:
            receiver.starts(one)
        else:
            found[one.transmission_id] = receiver.ends(one)
    return found


def reasons(*transmissions: Transmission, gateway: Gateway = GATEWAY, rules: Rules | None = None) -> list[str]:
    """Their reasons, in the order given; frames of this gateway's hearing only."""
    found = hear(*transmissions, gateway=gateway, rules=rules)
    return [found[one.transmission_id].reason for one in transmissions if one.transmission_id in found]


@pytest.mark.parametrize("factor", range(7, 13))
def test_sensitivity_of_each_spreading_factor(factor: int) -> None:
    least_dbm = max(SENSITIVITY_DBM[factor], noise_dbm(125e3, 0.0) + NEEDED_SNR_DB[factor])
    assert reasons(frame(least_dbm + EPSILON_DB, factor)) == [""]
    assert reasons(frame(least_dbm - EPSILON_DB, factor)) == ["below_sensitivity"]


def test_a_noisy_gateway_needs_more() -> None:
    deaf = msgspec.structs.replace(GATEWAY, noise_figure_db=20.0)
    level_dbm = noise_dbm(125e3, 20.0) + NEEDED_SNR_DB[7]
    assert reasons(frame(level_dbm - EPSILON_DB), gateway=deaf) == ["below_sensitivity"]
    assert reasons(frame(level_dbm + EPSILON_DB), gateway=deaf) == [""]


def test_capture_by_six_decibels() -> None:
    assert reasons(frame(-80.0), frame(-80.0 - CAPTURE_DB - EPSILON_DB)) == ["", "same_factor"]
    assert reasons(frame(-80.0), frame(-80.0 - CAPTURE_DB + EPSILON_DB)) == ["same_factor", "same_factor"]


def test_capture_is_over_the_sum() -> None:
    weak = [frame(-80.0 - CAPTURE_DB - 1.0) for _ in range(2)]
    assert reasons(frame(-80.0), weak[0]) == ["", "same_factor"]
    assert reasons(frame(-80.0), *weak)[0] == "same_factor"


def test_what_ends_before_the_last_symbols_of_the_preamble_does_no_harm() -> None:
    late = frame(-80.0, start_s=1.0)
    clean_s = vulnerable_from_s(late, Rules())
    assert clean_s == pytest.approx(1.0 + 4 * 2**7 / 125e3)
    length_s = late.airtime_s
    assert reasons(frame(-80.0, start_s=clean_s - length_s - 1e-6), late)[1] == ""
    assert reasons(frame(-80.0, start_s=clean_s - length_s + 1e-6), late)[1] == "same_factor"
    whole = Rules(lock_symbols=None)
    assert reasons(frame(-80.0, start_s=clean_s - length_s - 1e-6), late, rules=whole)[1] == "same_factor"


def test_other_channels_do_not_meet() -> None:
    assert reasons(frame(-120.0), frame(-40.0, center_hz=868.3e6)) == ["", ""]


@pytest.mark.parametrize("factor", range(8, 13))
def test_other_spreading_factors_disturb_by_their_threshold(factor: int) -> None:
    loud_dbm = -60.0
    least_dbm = loud_dbm + NEEDED_SIR_DB[factor]
    loud = frame(loud_dbm, 7, start_s=frame(factor=factor).end_s - 0.01)
    assert reasons(frame(least_dbm + EPSILON_DB, factor), loud)[0] == ""
    assert reasons(frame(least_dbm - EPSILON_DB, factor), loud)[0] == "other_factor"
    assert reasons(frame(least_dbm - EPSILON_DB, factor), loud, rules=Rules(inter_sf=False))[0] == ""


def test_a_carrier_is_noise_in_the_channel() -> None:
    carrier = frame(-60.0, kind="carrier", spreading_factor=None, airtime_s=1e9, bandwidth_hz=100.0)
    assert reasons(carrier, frame(-60.0 + NEEDED_SNR_DB[7] + EPSILON_DB)) == [""]
    assert reasons(carrier, frame(-60.0 + NEEDED_SNR_DB[7] - EPSILON_DB)) == ["interference"]
    beside = msgspec.structs.replace(carrier, center_hz=868.2e6)
    assert reasons(beside, frame(-60.0 + NEEDED_SNR_DB[7] - EPSILON_DB)) == [""]


def test_only_what_falls_into_the_channel_counts() -> None:
    # a telegram of 200 kHz around 868.1 MHz puts 125 / 200 of its power into the channel: 2.04 dB less
    telegram = frame(-60.0, kind="wmbus", spreading_factor=None, airtime_s=1.0, bandwidth_hz=200e3)
    level_dbm = -60.0 + NEEDED_SNR_DB[7] - 2.04
    assert reasons(telegram, frame(level_dbm + 0.02)) == [""]
    assert reasons(telegram, frame(level_dbm - 0.02)) == ["interference"]


@pytest.mark.parametrize("paths", [1, 8])
def test_demodulation_paths(paths: int) -> None:
    gateway = msgspec.structs.replace(GATEWAY, demodulation_paths=paths)
    many = [frame(-80.0, 12, 0.01 * i, center_hz=867.1e6 + 200e3 * i) for i in range(paths + 1)]
    assert reasons(*many, gateway=gateway) == [""] * paths + ["no_demodulation_path"]
    after = frame(-80.0, 7, many[0].end_s + 0.001)
    assert reasons(*many, after, gateway=gateway)[-1] == ""


def test_a_frame_too_weak_to_be_heard_takes_no_path() -> None:
    gateway = msgspec.structs.replace(GATEWAY, demodulation_paths=1)
    assert reasons(frame(-150.0, 12), frame(-80.0, 7, 0.1, center_hz=868.3e6), gateway=gateway) == [
        "below_sensitivity", ""
    ]  # fmt: skip


def test_a_gateway_is_deaf_while_it_sends() -> None:
    down = frame(14.0, 7, 0.5, downlink=True, source="g", center_hz=869.525e6)
    before, during = frame(start_s=0.5 - frame().airtime_s - 1e-3), frame(start_s=0.51, center_hz=867.5e6)
    after, across = frame(start_s=down.end_s + 1e-3), frame(start_s=0.48, center_hz=868.3e6)
    assert reasons(down, before, during, after, across) == ["", "gateway_sending", "", "gateway_sending"]


def test_another_gateways_downlink_is_interference() -> None:
    down = frame(-60.0, 7, 0.0, downlink=True, source="other")
    assert reasons(down, frame(-60.0 + NEEDED_SIR_DB[7] - EPSILON_DB)) == ["other_factor"]
    assert reasons(down, frame(-60.0 + NEEDED_SIR_DB[7] + EPSILON_DB)) == [""]


def test_sigfox_needs_its_snr_in_its_own_100_hz() -> None:
    least_dbm = noise_dbm(100.0, 0.0) + NEEDED_SIGFOX_SNR_DB
    assert reasons(frame(least_dbm + EPSILON_DB, None)) == [""]
    assert reasons(frame(least_dbm - EPSILON_DB, None)) == ["below_sensitivity"]
    # two copies on one carrier: neither is 9.6 dB over the other; 200 Hz apart both get through
    assert reasons(frame(-100.0, None), frame(-100.0, None)) == ["interference"] * 2
    assert reasons(frame(-100.0, None), frame(-100.0, None, center_hz=868.1e6 + 200.0)) == ["", ""]


def test_lora_spreads_what_it_does_to_sigfox() -> None:
    # 100 Hz of 125 kHz: 31 dB less
    lora = frame(-60.0, 12)
    assert reasons(lora, frame(-60.0 - 31.0 + NEEDED_SIGFOX_SNR_DB + 0.1, None))[1] == ""
    assert reasons(lora, frame(-60.0 - 31.0 + NEEDED_SIGFOX_SNR_DB - 0.1, None))[1] == "interference"


def test_judging_is_pure_and_ignores_the_frame_itself() -> None:
    one = frame()
    others = [(one, mw_from_dbm(-80.0))]
    assert judge(one, mw_from_dbm(-80.0), others, mw_from_dbm(-123.0), Rules()) == ""


def test_a_frame_is_delivered_when_any_gateway_has_it() -> None:
    heard, lost = Verdict("a", -100.0, 10.0, ""), Verdict("b", -90.0, 20.0, "gateway_sending")
    weaker = Verdict("c", -120.0, 0.0, "below_sensitivity")
    assert fate([heard, lost]) == ""
    assert fate([lost, weaker]) == "gateway_sending"


def test_antenna_gain_counts() -> None:
    gained = msgspec.structs.replace(GATEWAY, antenna_gain_dbi=6.0)
    one = frame(-100.0)
    assert hear(one, gateway=gained)[one.transmission_id].power_dbm == pytest.approx(
        received_power_dbm(HERE, one, GATEWAY) + 6.0
    )


def test_nothing_is_kept_of_what_is_over() -> None:
    receiver = GatewayReceiver(HERE, GATEWAY, Rules())
    for i in range(200):
        one = frame(start_s=float(i))
        receiver.starts(one)
        receiver.ends(one)
    assert len(receiver._on_air) <= 1
    assert not receiver._arriving
