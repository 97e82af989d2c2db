"""What the console's API answers, and that its keys are those of the contract."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_status import records
from channel_status.memory import MemoryDatabase

CONTRACT = (Path(__file__).parents[2] / "docs" / "console.md").read_text()
KEY = "868300000/125000"


@pytest.fixture
def busy(bench):
    """A bench at whose site something has happened."""
    scene = bench.scene
    scene.attach()
    scene.sense(loud_hz=868.3e6)
    scene.watch("dev-1")
    scene.watch("dev-2", offline=True, offline_probability=0.999)
    scene.hear("dev-1", time.time() - 1.0)
    scene.grant("dev-1")
    scene.grant("dev-3", 1.2, "sigfox")
    bench.database.put("s", "gateway-radio", {"gw-1": records.encode({
        "state": "online", "downlink": [{"sub_band": "P", "used_s": 36.0, "budget_s": 360.0, "used_share": 0.1}],
    })})  # fmt: skip
    bench.database.put("s", "sensor", {"roof": records.encode({
        "state": "running", "last_s": time.time(), "flags": ["clipping"], "gain_db": 25.4, "clipping": 0.02,
        "intervals": 9, "records": 180, "lost_records": 1, "lost_samples": 2,
    })})  # fmt: skip
    bench.hub.reader.look()
    return bench


def keys_of(value: Any) -> set[str]:
    """All keys of an answer, at any depth, but for what is recorded elsewhere and for what names things."""
    if isinstance(value, dict):
        free = ("data", "why", "kpi", "decision", "before", "after", "flags")
        return set(value) | {key for name, part in value.items() if name not in free for key in keys_of(part)}
    return {key for part in value for key in keys_of(part)} if isinstance(value, list) else set()


@pytest.mark.parametrize(
    "path",
    ["site", "state", "state?at_s=now", "events", "history", "history/channels", "history/spectrum?sensor=roof",
     f"subchannels/{KEY}", "devices/dev-1", f"map?subchannel={KEY}", "audit", "session"],
)  # fmt: skip
def test_every_key_is_in_the_contract(busy, path: str) -> None:
    busy.act(action="ban", subchannel=KEY)
    busy.scene.waterfall(time.time() - 5.0, time.time(), 868.3e6, lambda _: True)
    answer = busy.get(f"/api/{path.replace('now', str(time.time()))}")
    answer.pop("per_sensor", None)  # reports, as `airshed sense --json` prints them
    unknown = {key for key in keys_of(answer) if not re.search(rf"\b{key}\b", CONTRACT)}
    assert not unknown


def test_channels_show_what_is_sensed_said_and_leased(busy) -> None:
    channels = busy.get("/api/state")["channels"]
    rows = {row["key"]: row for row in channels["subchannels"]}
    assert channels["sensing"] == "fresh"
    assert len(rows) == 20
    loud = rows[KEY]
    assert (loud["state"], loud["busy"], loud["energy_dbfs"], loud["threshold_dbfs"]) == ("busy", True, -20.0, -39.0)
    # Three sensors and the OR rule: 1 - 0.8^3 and 0.1^3; measured alike.
    assert (loud["pf"], loud["pm"]) == (pytest.approx(0.488), pytest.approx(0.001))
    assert (loud["pf_design"], loud["pm_design"]) == (pytest.approx(0.488), pytest.approx(0.001))
    assert loud["pf_measured"] == pytest.approx(1 - 0.79**3, abs=1e-5)
    assert (loud["occupancy"], loud["occupancy_low"], loud["occupancy_high"]) == (0.9, 0.04, 0.95)
    assert loud["sensors"] == ["gate", "roof", "yard"]
    assert (loud["sub_band"], loud["technology"], rows["868042000/16000"]["technology"]) == ("M", "lora", "sigfox")
    assert sum(row["leases_now"] + row["leases_next"] for row in rows.values()) == 2
    held = [row for row in rows.values() if row["leases_now"]]
    assert {row["state"] for row in held} == {"leased"}


def test_silence_is_shown_as_silence_with_the_last_figures(bench) -> None:
    bench.hub.reader.look()
    assert {row["state"] for row in bench.get("/api/state")["channels"]["subchannels"]} == {"silent"}
    bench.scene.sense(time.time() - 60.0, 868.3e6)
    bench.hub.reader.look()
    channels = bench.get("/api/state")["channels"]
    loud = next(row for row in channels["subchannels"] if row["key"] == KEY)
    assert (channels["sensing"], loud["state"], loud["energy_dbfs"]) == ("held", "silent", -20.0)
    assert loud["age_s"] == pytest.approx(60.0, abs=5.0)
    assert all(sensor["stale"] for sensor in bench.get("/api/state")["sensors"]["sensors"])


def test_devices_gateways_sensors_and_duty(busy) -> None:
    state = busy.get("/api/state")
    devices = state["devices"]["devices"]
    assert [device["device"] for device in devices] == ["dev-2", "dev-1", "meter"], "offline ones first"
    assert devices[1]["period_s"] == 60.0
    assert devices[1]["outage_low"] < 0.05 < devices[1]["outage_high"]
    assert devices[1]["key"].endswith("/125000")
    assert (devices[2]["position_m"], devices[2]["last_seen_s"]) == ([50.0, 60.0], None)
    (gateway,) = state["gateways"]["gateways"]
    assert (gateway["state"], gateway["radio_state"], gateway["downlink"][0]["used_share"]) == (
        "attached",
        "online",
        0.1,
    )
    assert gateway["last_uplink_s"] == pytest.approx(time.time(), abs=60)
    sensors = {sensor["sensor"]: sensor for sensor in state["sensors"]["sensors"]}
    assert (sensors["roof"]["gain_db"], sensors["roof"]["clipping"], sensors["roof"]["stale"]) == (25.4, 0.02, False)
    assert sensors["gate"]["stale"]
    bands = {band["sub_band"]: band for band in state["duty"]["sub_bands"]}
    assert bands["P"] | {"direction": "downlink", "used_share": 0.1, "limit": 0.1} == bands["P"]
    lease = next(lease for lease in state["leases"]["leases"] if lease["device"] == "dev-1")
    band = next(band for band in bands.values() if any(top["device"] == "dev-1" for top in band["top"]))
    assert band["used_share"] == pytest.approx(30.0 / 36.0, abs=1e-4), lease
    assert band["direction"] == "uplink"


def test_a_subchannel_tells_who_holds_it_and_why(busy) -> None:
    lease = busy.scene.grant("dev-7")
    found = busy.get(f"/api/subchannels/{records.subchannel_key(lease.subchannel)}")
    held = next(one for one in found["now"] if one["lease_id"] == lease.lease_id)
    assert held["device"] == "dev-7"
    assert held["why"]["why"]["inputs"]["policy"] == "algorithm1"
    assert len(found["per_sensor"]) == 3
    assert found["events"][0]["kind"] in ("granted", "forced")
    answer = busy.client.get("/api/subchannels/1/2", headers=busy.viewer)
    assert (answer.status_code, "no subchannel '1/2'" in answer.json()["detail"]) == (404, True)


def test_a_device_tells_its_history_and_decision(busy) -> None:
    first = next(x for x in busy.database.leases("s", time.time()) if x.device == "dev-1")
    busy.database.release("s", first.lease_id, time.time())
    second = busy.scene.grant("dev-1", 2.0)
    found = busy.get("/api/devices/dev-1")
    assert [row["ended"] for row in found["history"]] == [None, "released"]
    assert found["history"][0]["key"] == records.subchannel_key(second.subchannel)
    assert found["decision"]["lease"]["lease_id"] == second.lease_id
    assert found["kpi"]["receptions"] == 95
    assert {row["sub_band"] for row in found["duty"]} <= {"L", "M"}
    assert found["events"][0]["kind"] == "granted"
    assert busy.client.get("/api/devices/nobody", headers=busy.viewer).status_code == 404
    assert busy.get("/api/devices/meter")["decision"] is None


def test_events_are_filtered_and_paged(busy) -> None:
    for number in range(30):
        lease = busy.scene.grant(f"many-{number}", 0.1)
        busy.database.release("s", lease.lease_id, time.time(), "test")
    first = busy.get("/api/events", kind="released,gateway", limit=20)
    assert {event["kind"] for event in first["events"]} == {"released"}
    rest = busy.get("/api/events", kind="released,gateway", limit=20, before=first["next"])
    assert len(first["events"]) + len(rest["events"]) == 31
    assert rest["next"] is None
    times = [event["time_s"] for event in first["events"] + rest["events"]]
    assert times == sorted(times, reverse=True)
    assert {e["device"] for e in busy.get("/api/events", device="many-3")["events"]} == {"many-3"}
    assert all("MANY-4" in e["text"].upper() for e in busy.get("/api/events", text="MANY-4")["events"])
    assert busy.get("/api/events", text="nothing says this")["events"] == []
    assert {e["gateway"] for e in busy.get("/api/events", gateway="gw-1")["events"]} == {"gw-1"}
    assert busy.get("/api/events", to_s=times[-1] - 3600)["events"] == []
    assert busy.get("/api/events", from_s=time.time() + 3600)["events"] == []
    assert all("why" not in event["data"] for event in busy.get("/api/events")["events"])
    assert "snapshot" not in {event["kind"] for event in busy.get("/api/events", limit=500)["events"]}


def test_the_map_comes_from_the_placed_sensors(busy) -> None:
    found = busy.get("/api/map", subchannel=KEY, cells=20)
    assert (found["unit"], found["origin"], len(found["sensors"])) == ("dBFS", [48.1, 11.5], 3)
    assert len(found["power_db"]) == len(found["north_m"])
    assert len(found["power_db"][0]) == len(found["east_m"])
    assert max(map(max, found["power_db"])) <= -19.0
    roof = next(sensor for sensor in found["sensors"] if sensor["sensor"] == "roof")
    assert (roof["power_db"], roof["position_m"]) == (-20.0, [0.0, 0.0])


def test_a_map_without_enough_sensors_says_so(bench) -> None:
    answer = bench.client.get("/api/map", params={"subchannel": KEY}, headers=bench.viewer)
    assert answer.status_code == 409
    assert "no map of" in answer.json()["detail"]


def test_metrics_and_health_need_no_login(busy) -> None:
    assert busy.client.get("/health").status_code == 503, "the hub has not looked by itself"
    text = busy.client.get("/metrics").text
    assert f'airshed_subchannel_state{{state="busy",subchannel="{KEY}"}} 1.0' in text
    assert 'airshed_sensor_clipping_ratio{sensor="roof"} 0.02' in text
    assert 'airshed_gateway_attached{gateway="gw-1"} 1.0' in text
    assert "airshed_devices_silent 1.0" in text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/events?limit=0", 400), ("/api/events?limit=x", 400), ("/api/events?before=yesterday", 400),
     ("/api/events?from_s=nan", 400), ("/api/events?subchannel=868.3", 400), ("/api/events?severity=loud", 400),
     ("/api/state?at_s=-1", 400), ("/api/state?at_s=9e10", 400), ("/api/history/channels?columns=100000", 400),
     ("/api/history/channels?from_s=20&to_s=10", 400), ("/api/history/spectrum", 400),
     ("/api/history/spectrum?sensor=nobody", 400), ("/api/map?subchannel=1/2", 404), ("/api/map", 400),
     ("/api/subchannels/x/y", 400), ("/api/nothing", 404), ("/api/audit?before=none", 400)],
)  # fmt: skip
def test_a_bad_question_gets_one_clear_line(bench, path: str, status: int) -> None:
    answer = bench.client.get(path, headers=bench.viewer)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"detail"}
    assert isinstance(answer.json()["detail"], str)
    assert "\n" not in answer.json()["detail"]


QUESTIONS = ["/api/events", "/api/state", "/api/history/channels", "/api/history/spectrum", "/api/map", "/api/audit"]
PARAMETERS = ["kind", "device", "subchannel", "from_s", "to_s", "before", "limit", "at_s", "columns", "sensor", "text"]


VALUES = st.one_of(st.text(max_size=12), st.floats().map(str), st.integers().map(str))


@given(st.sampled_from(QUESTIONS), st.dictionaries(st.sampled_from(PARAMETERS), VALUES))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_strange_questions_are_answered_or_refused_in_one_line(
    fuzzed_bench, path: str, parameters: dict[str, str]
) -> None:
    bench = fuzzed_bench
    answer = bench.client.get(path, params=parameters, headers=bench.viewer)
    assert answer.status_code in (200, 400, 404, 409), answer.text
    if answer.status_code != 200:
        assert isinstance(answer.json()["detail"], str)


def test_security_headers_are_on_every_answer(bench) -> None:
    for path in ("/", "/api/session", "/api/nothing", "/static/nothing.js", "/metrics"):
        headers = bench.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == ("no-store" if path.startswith(("/api", "/metrics")) else "no-cache")


def test_other_names_and_long_bodies_are_refused(bench) -> None:
    assert bench.client.get("/api/session", headers={"Host": "evil.example"}).status_code == 400
    assert bench.client.post("/api/session", content=b"x" * 20_000).status_code == 413
    assert bench.client.post("/api/session", content=iter([b"x" * 9_000] * 3)).status_code == 400


def test_unreadable_entries_of_streams_break_nothing(make_bench) -> None:
    bench = make_bench()
    database = bench.database
    assert isinstance(database, MemoryDatabase)
    strange = [
        b"no json",
        b"5",
        b"{}",
        b'{"event": 5}',
        b'{"event": "granted", "at_us": "x"}',
        b'{"event":"x","at_us":"1"}',
    ]
    for stream in ("events", "uplinks", "spectrum-1s:roof", "spectrum-10s:roof"):
        database.append("s", stream, strange)
    bench.hub.reader.look()
    bench.scene.sense()
    bench.hub.reader.look()
    assert bench.get("/api/events")["events"]
    now_s = time.time()
    assert bench.get("/api/state", at_s=now_s)["time_s"] == now_s
    assert bench.get("/api/history/channels")["subchannels"] == []
    assert bench.get("/api/history/spectrum", sensor="roof")["rows"] == []
