"""Receive windows and the gateway's own duty cycle."""

from __future__ import annotations

import time

import pytest

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.protocol import DatabaseAway
from gateway_agent.downlink import GatewayAir, air_used, choose, frame_airtime_s, windows
from gateway_agent.radio_record import radio_told
from gateway_agent.semtech_udp import Received
from spectrum.duty_cycle import DutyCycleLedger
from spectrum.eu868 import sub_band

HEARD = Received(b"\x40x", 2**32 - 500_000, 868_100_000, "SF7BW125", -80.0, 5.0)


def test_rx1_answers_on_the_uplinks_channel_and_rx2_at_869_525() -> None:
    rx1, rx2 = windows(HEARD, bytes(17), 100.0, join=False)
    assert (rx1.transmit.center_hz, rx1.transmit.datr, rx1.starts_s) == (868_100_000, "SF7BW125", 101.0)
    assert rx1.transmit.tmst == 500_000, "the counter wraps"
    assert (rx2.transmit.center_hz, rx2.transmit.datr, rx2.starts_s) == (869_525_000, "SF12BW125", 102.0)
    # 14 dBm e.r.p. are 16.15 dBm EIRP, 27 are 29.15: whole dBm into an antenna of 0 dBi
    assert (rx1.transmit.power_dbm, rx2.transmit.power_dbm) == (16, 29)
    assert (rx1.sub_band.label, rx2.sub_band.label) == ("M", "P")


def test_joins_are_answered_after_5_and_6_s_and_the_antenna_counts() -> None:
    rx1, rx2 = windows(HEARD, bytes(17), 100.0, join=True, antenna_gain_dbi=3.0)
    assert (rx1.starts_s, rx2.starts_s) == (105.0, 106.0)
    assert (rx1.transmit.power_dbm, rx2.transmit.power_dbm) == (13, 26)


def test_a_downlink_has_no_crc() -> None:
    # SF7, 17 bytes: 8 + ceil((8 x 17 - 28 + 28) / 28) x 5 = 33 symbols after 12.25: 45.25 x 1.024 ms
    assert frame_airtime_s("SF7BW125", 17) == pytest.approx(45.25 * 1.024e-3)


def test_the_gateways_hour_is_counted_before_sending() -> None:
    air, sent, now_s = GatewayAir(), 0, 0.0
    while True:
        rx1, _ = windows(HEARD, bytes(17), now_s, join=False)
        if not air.may_send(rx1):
            break
        air.count(rx1)
        sent, now_s = sent + 1, now_s + 0.1
    # 1 % of an hour is 36 s in sub-band M
    assert sent == int(36.0 / rx1.airtime_s)
    chosen = choose(air, windows(HEARD, bytes(17), now_s, join=False), now_s)
    assert chosen is not None
    assert chosen.sub_band.label == "P", "RX2's sub-band has its own 10 %"
    assert air.used_s("M", now_s + 1) <= 36.0


def test_one_frame_at_a_time_and_nothing_too_late() -> None:
    air = GatewayAir()
    both = windows(HEARD, bytes(17), 100.0, join=False)
    first = choose(air, both, 100.2)
    assert first == both[0]
    air.count(both[0])
    assert choose(air, both, 100.2) == both[1], "RX1 is taken: RX2"
    assert choose(GatewayAir(), both, 101.5) == both[1], "RX1 is over"
    assert choose(GatewayAir(), both, 102.5) is None


def test_what_is_used_is_told_of_the_gateway_that_used_most() -> None:
    few, many = GatewayAir(), GatewayAir()
    for air, airtime_s in ((few, 1.0), (many, 90.0)):
        air.ledgers["P"] = DutyCycleLedger(sub_band("P"))
        air.ledgers["P"].record(1_000.0, airtime_s)
    few.ledgers["M"] = DutyCycleLedger(sub_band("M"))
    few.ledgers["M"].record(1_000.0, 3.6)
    assert [used.as_json() for used in air_used([few, many], 2_000.0)] == [
        {"sub_band": "M", "used_s": 3.6, "budget_s": 36.0, "used_share": 0.1},
        {"sub_band": "P", "used_s": 90.0, "budget_s": 360.0, "used_share": 0.25},
    ]
    assert air_used([few, many], 9_000.0)[1].used_s == 0.0
    assert air_used([], 0.0) == ()


def test_the_radio_side_is_told_again_when_the_database_is_back() -> None:
    class Flaky(MemoryDatabase):
        puts = 0

        def put(self, site: str, kind: str, values) -> None:
            Flaky.puts += 1
            if Flaky.puts == 1:
                raise DatabaseAway("away")
            super().put(site, kind, values)

    database = Flaky()
    with radio_told(database, "s", "gw", lambda: {"state": "online", "downlink": []}, period_s=0.01):
        deadline_s = time.monotonic() + 30.0
        while not database.get("s", "gateway-radio") and time.monotonic() < deadline_s:
            time.sleep(0.005)
    assert records.decode(database.get("s", "gateway-radio")["gw"])["state"] == "online"
