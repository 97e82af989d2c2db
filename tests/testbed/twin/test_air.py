"""The link budget: the formula of path loss, the laws of shadowing and fading, and one air for all who hear."""

from __future__ import annotations

import math
import threading

import msgspec
import numpy as np
import pytest
from scipy import stats

from spectrum.units import linear_from_db
from testbed.twin.air import Air, Transmission, fading_db, noise_dbm, path_loss_db, received_power_dbm, shadowing_db
from testbed.twin.scene import Gateway, Propagation, Scene, Sensor

DRAWS = 4000


def transmission(number: int = 1, **changes: object) -> Transmission:
    """A LoRa frame of a device at the origin."""
    plain = Transmission(
        transmission_id=number, kind="lora", start_s=0.0, airtime_s=0.05, center_hz=868.1e6, bandwidth_hz=125e3,
        eirp_dbm=16.0, x_m=0.0, y_m=0.0, source="device", spreading_factor=7,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize("distance_m", [1.0, 10.0, 123.0, 5000.0])
def test_path_loss_is_the_log_distance_formula(distance_m: float) -> None:
    given = Propagation(exponent=3.7, reference_m=10.0, reference_loss_db=60.0)
    assert path_loss_db(given, distance_m) == pytest.approx(60.0 + 37.0 * math.log10(distance_m / 10.0))
    # without a reference: free-space-like 20 log10(868) - 28 dB at one metre, as planning has it
    assert path_loss_db(Propagation(exponent=2.0), distance_m) == pytest.approx(
        20.0 * math.log10(868.0) - 28.0 + 20.0 * math.log10(distance_m)
    )


def test_nothing_is_nearer_than_a_metre() -> None:
    assert path_loss_db(Propagation(), 0.0) == path_loss_db(Propagation(), 1.0)


def test_shadowing_is_normal_fixed_for_a_link_and_the_same_both_ways() -> None:
    given = Propagation(shadowing_db=6.0)
    drawn = [shadowing_db(given, 1, f"device-{i}", "gateway") for i in range(DRAWS)]
    assert drawn[:50] == [shadowing_db(given, 1, "gateway", f"device-{i}") for i in range(50)]
    assert stats.kstest(drawn, stats.norm(0.0, 6.0).cdf).pvalue > 1e-3
    assert drawn[0] != shadowing_db(given, 2, "device-0", "gateway")


def test_rayleigh_power_is_exponential() -> None:
    given = Propagation(fading="rayleigh")
    gains = [linear_from_db(fading_db(given, 1, i, "gateway")) for i in range(DRAWS)]
    assert stats.kstest(gains, stats.expon().cdf).pvalue > 1e-3


@pytest.mark.parametrize("k_db", [-10.0, 6.0, 15.0])
def test_rician_power_is_noncentral_chi_square(k_db: float) -> None:
    given, k = Propagation(fading="rician", rician_k_db=k_db), linear_from_db(k_db)
    gains = np.array([linear_from_db(fading_db(given, 1, i, "gateway")) for i in range(DRAWS)])
    law = stats.ncx2(2, 2.0 * k, scale=0.5 / (k + 1.0))
    assert stats.kstest(gains, law.cdf).pvalue > 1e-3
    assert law.mean() == pytest.approx(1.0)


def test_fading_differs_by_packet_and_receiver_and_spares_interferers() -> None:
    scene = Scene(name="s", propagation=Propagation(fading="rayleigh"))
    gateway, sensor = Gateway(name="g", x_m=100.0, y_m=0.0), Sensor(name="s", x_m=100.0, y_m=0.0)
    powers = {received_power_dbm(scene, transmission(n), place) for n in (1, 2) for place in (gateway, sensor)}
    assert len(powers) == 4
    carriers = {received_power_dbm(scene, transmission(n, kind="carrier"), gateway) for n in (1, 2)}
    assert len(carriers) == 1


def test_sensor_and_gateway_at_one_place_hear_alike_without_shadowing() -> None:
    scene = Scene(name="s")
    places = [Gateway(name="g", x_m=30.0, y_m=40.0), Sensor(name="s", x_m=30.0, y_m=40.0)]
    expected = 16.0 - path_loss_db(scene.propagation, 50.0)
    assert [received_power_dbm(scene, transmission(), place) for place in places] == pytest.approx([expected] * 2)


def test_noise_is_thermal_and_the_receivers_own() -> None:
    assert noise_dbm(1.0, 0.0) == -174.0
    assert noise_dbm(125e3, 6.0) == pytest.approx(-117.03, abs=0.01)


def test_the_air_gives_what_overlaps_and_forgets_what_is_over() -> None:
    air = Air()
    for number, start_s in ((1, 0.0), (2, 1.0), (3, 0.5)):
        air.put(transmission(number, start_s=start_s, airtime_s=0.5))
    assert [one.transmission_id for one in air.transmissions_between(0.4, 0.6)] == [1, 3]
    assert [one.transmission_id for one in air.transmissions_between(0.5, 1.0)] == [3]
    air.forget_before(0.8)
    assert [one.transmission_id for one in air.transmissions_between(-1.0, 9.0)] == [3, 2]


def test_a_listener_waits_for_the_promise() -> None:
    air, heard = Air(), []
    listener = threading.Thread(target=lambda: heard.append(air.wait_until_known(2.0, 30.0)))
    listener.start()
    air.promise(1.0)
    air.promise(2.0)
    listener.join()
    assert heard == [True]
    assert not air.wait_until_known(3.0, 0.0)
    assert air.known_until_s == 2.0
