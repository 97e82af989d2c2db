"""The network's side of LoRaWAN: joins, counters, restarts, the database away, and frames of nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_status.memory import MemoryDatabase
from channel_status.protocol import DatabaseAway
from gateway_agent.lorawan.devices import devices_of, read_keys
from gateway_agent.lorawan.session import Session, encode
from gateway_agent.lorawan.steering import Plan
from gateway_agent.lorawan.store import DatabaseStore
from spectrum.errors import BadInput
from spectrum.site_file import DeviceTable
from testbed.lorawan_device import Sent

Make = Callable[..., Any]
EXTRAS_HZ = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)


@pytest.mark.parametrize("version", ["1.0.3", "1.0.4", "1.1"])
def test_a_join_gives_channels_and_a_session_begins_with_the_first_frame(loop_with: Make, version: str) -> None:
    loop = loop_with(cf_list_hz=EXTRAS_HZ, version=version)
    assert loop.device.enabled_hz == {868_100_000, 868_300_000, 868_500_000, *EXTRAS_HZ}
    assert loop.session.join is None
    assert loop.session.pending is not None
    heard = loop.exchange()
    assert heard.wants_plan == "joined"
    assert heard.payload == b"x"
    assert loop.session.pending is None


@pytest.mark.parametrize("version", ["1.0.3", "1.0.4", "1.1"])
def test_a_join_request_is_good_once(loop_with: Make, version: str) -> None:
    loop = loop_with(join=False, version=version)
    request = loop.device.join()
    assert loop.hear(request) is not None
    assert loop.hear(request) is None
    assert loop.network.counts["joins_refused_replay"] == 1


def test_a_forged_join_is_refused_and_the_old_session_stands(loop_with: Make) -> None:
    loop = loop_with()
    loop.exchange()
    request = loop.device.join()
    assert loop.hear(Sent(request.frame[:-1] + b"\0", request.center_hz, request.datr)) is None
    assert loop.network.counts["joins_refused_bad_mic"] == 1
    assert loop.exchange() is not None


def test_until_a_new_join_is_used_the_old_session_stands(loop_with: Make) -> None:
    loop = loop_with()
    loop.exchange()
    assert loop.hear(loop.device.join()) is not None  # its accept is lost
    assert loop.exchange() is not None
    loop.device.forget_session()
    loop.join()
    assert loop.exchange().wants_plan == "joined"


def test_a_replayed_frame_is_refused_and_a_repeated_one_acknowledged_again(loop_with: Make) -> None:
    loop = loop_with()
    first = loop.device.send(b"a", confirmed=True)
    assert loop.hear(first).is_new
    again = loop.hear(first)
    assert not again.is_new
    assert loop.network.downlink(again, None) is not None
    loop.exchange()
    assert loop.hear(first) is None
    assert loop.network.counts["replayed_frames"] == 1


def test_a_confirmed_uplink_is_acknowledged(loop_with: Make) -> None:
    loop = loop_with()
    loop.exchange(confirmed=True)
    assert loop.device.acknowledged


def test_a_restart_forgets_nothing(loop_with: Make) -> None:
    loop = loop_with(tunes=lambda hz: hz >= 868_000_000)
    loop.plan = Plan((867_100_000, 868_500_000))
    for _ in range(4):
        loop.exchange()
    kept, old = loop.session, loop.device.send(b"old")
    loop.hear(old)
    kept = loop.session
    loop.restart()
    assert loop.session == kept
    assert loop.session.state.refused == ("frequency:867100000",)
    assert not loop.hear(old).is_new
    for _ in range(10):
        assert loop.exchange() is not None
    assert loop.device.refusals == 1


def test_no_session_key_and_no_root_key_is_kept(loop_with: Make) -> None:
    loop = loop_with()
    loop.exchange()
    kept = encode(loop.session)
    device = loop.device
    for key in (device.app_key, device.network_key, device.application_key):
        assert key.hex().encode() not in kept.lower()


@pytest.mark.parametrize("on_port_0", [False, True])
@pytest.mark.parametrize("kind", [{"version": "1.0.3"}, {"version": "1.0.4"}, {"version": "1.1"}, {"abp": True}])
def test_commands_steer_whatever_way_they_travel(loop_with: Make, on_port_0: bool, kind: dict[str, Any]) -> None:
    loop = loop_with(on_port_0=on_port_0, answers_on_port_0=on_port_0, **kind)
    loop.plan = Plan(EXTRAS_HZ[:4])
    for _ in range(8):
        loop.exchange()
    assert loop.device.enabled_hz == set(EXTRAS_HZ[:4])
    assert loop.session.state.enabled_hz == loop.device.enabled_hz
    assert loop.network.counts["bad_mics"] == 0
    loop.restart()
    loop.plan = Plan((868_500_000,))
    for _ in range(3):
        loop.exchange(confirmed=True)
        assert loop.device.acknowledged
    assert loop.device.enabled_hz == {868_500_000}


def test_the_keys_of_1_1_are_confirmed_once(loop_with: Make) -> None:
    loop = loop_with(version="1.1")
    assert not loop.device.rekeyed
    loop.exchange()
    assert loop.device.rekeyed
    loop.exchange()
    assert loop.session.down == 1, "nothing more is said"


def test_a_1_1_frame_is_heard_on_a_channel_whose_acceptance_was_lost(loop_with: Make) -> None:
    loop = loop_with(version="1.1", seed=3)
    loop.plan = Plan((867_100_000,))
    loop.exchange()
    assert 867_100_000 in loop.device.enabled_hz
    loop.exchange(up_lost=True)
    loop.plan = None
    heard = [loop.exchange() for _ in range(12)]
    assert 867_100_000 in {one.received.center_hz for one in heard}
    assert 867_100_000 not in loop.session.state.enabled_hz


def test_nothing_is_sent_while_counters_cannot_be_stored(loop_with: Make) -> None:
    loop = loop_with()
    loop.exchange()
    loop.store.away = True
    heard = loop.hear(loop.device.send(b"x", confirmed=True))
    assert heard is not None, "uplinks are still heard"
    assert loop.network.downlink(heard, None) is None
    assert loop.network.counts["sessions_not_stored"] >= 1
    loop.store.away = False
    loop.exchange(confirmed=True)
    assert loop.device.acknowledged


class SometimesAway(MemoryDatabase):
    """A database that can be away."""

    away = False

    def put(self, site: str, kind: str, values: Any) -> None:
        """Keep, unless away."""
        if self.away:
            raise DatabaseAway("away")
        super().put(site, kind, values)


def test_what_was_not_stored_is_stored_with_the_next() -> None:
    database = SometimesAway()
    store = DatabaseStore(database, "s")
    database.away = True
    assert not store.save(Session("a", up=1))
    assert store.away
    database.away = False
    assert store.save(Session("b", up=2))
    assert store.load() == {"a": Session("a", up=1), "b": Session("b", up=2)}
    assert not store.away


def test_a_record_that_cannot_be_read_is_left_out() -> None:
    database = MemoryDatabase()
    database.put("s", "lorawan-session", {"a": b"{", "b": encode(Session("b")), "c": b'{"dev_eui": 5}'})
    assert list(DatabaseStore(database, "s").load()) == ["b"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=60), change=st.integers(0, 10_000))
def test_no_frame_of_nobody_is_taken(data: bytes, change: int, loop_with: Make) -> None:
    loop = loop_with()
    loop.exchange()
    before = loop.session
    good = loop.device.send(b"hello")
    bit = change % (8 * len(good.frame))
    flipped = bytearray(good.frame)
    flipped[bit // 8] ^= 1 << bit % 8
    for frame in (data, bytes(flipped)):
        assert loop.hear(Sent(frame, 868_100_000, "SF7BW125")) is None
    assert loop.session == before
    assert sum(loop.network.counts.values()) >= 2


def test_keys_come_from_a_private_file_and_are_never_shown(tmp_path: Any) -> None:
    place = tmp_path / "keys.toml"
    key = "000102030405060708090a0b0c0d0e0f"
    place.write_text(f'[1122334455667788]\napp_key = "{key}"\n')
    place.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        read_keys(str(place))
    place.chmod(0o600)
    table = DeviceTable(name="meter", dev_eui="1122334455667788")
    (device,) = devices_of([table], "gw", str(place))
    assert device.app_key == bytes.fromhex(key)
    assert key not in repr(device)
    with pytest.raises(BadInput, match="needs nwk_s_key and app_s_key"):
        devices_of([DeviceTable(name="m", dev_eui="1122334455667788", activation="abp")], "gw", str(place))
    place.write_text('[1122334455667788]\napp_key = "tooshort-secret"\n')
    with pytest.raises(BadInput) as error:
        read_keys(str(place))
    assert "secret" not in str(error.value)
