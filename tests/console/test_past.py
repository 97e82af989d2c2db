"""The past: held against what was written, at every resolution and within bounds."""

from __future__ import annotations

import base64
import time
from dataclasses import replace

import numpy as np
import pytest

from channel_status import records
from console.past_events import PastEvents
from console.rows import HISTORY_S, RESOLUTIONS, Row, held, resolution_for, span
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.status import Lease

KEY = "868300000/125000"
CELL = Subchannel(868.3e6, 125e3)


@pytest.fixture
def recorded(make_bench):
    """Forty seconds with a loud subchannel in a known part of them; `began_s`, `loud` say which.

    In memory, where entries can come into their streams at times that have passed.
    """
    bench = make_bench()
    cells = bench.scene.cells
    bench.loud_hz = cells[2].center_hz
    bench.loud_key = records.subchannel_key(cells[2])
    now_s = time.time()
    bench.began_s = 10.0 * int((now_s - 45.0) / 10.0)
    bench.loud = (bench.began_s + 12.0, bench.began_s + 15.0)
    bench.scene.waterfall(
        bench.began_s, bench.began_s + 40.05, bench.loud_hz, lambda at_s: bench.loud[0] <= at_s < bench.loud[1] - 1e-6
    )
    return bench


def at_column(answer, key: str, at_s: float) -> dict[str, float | None]:
    """What one subchannel's column at a time says."""
    place = int((at_s - answer["from_s"]) / answer["step_s"])
    row = next(row for row in answer["subchannels"] if row["key"] == key)
    return {name: values[place] for name, values in row.items() if name != "key"}


def test_channels_by_time_show_the_burst_where_it_was(recorded) -> None:
    answer = recorded.get("/api/history/channels", from_s=recorded.began_s, to_s=recorded.began_s + 40.0, columns=40)
    assert (answer["resolution"], answer["step_s"], len(answer["times_s"])) == ("spectrum-1s", 1.0, 40)
    during = at_column(answer, recorded.loud_key, recorded.began_s + 13.5)
    assert (during["energy_dbfs"], during["busy_share"], during["threshold_dbfs"]) == (-20.0, 1.0, -39.0)
    before = at_column(answer, recorded.loud_key, recorded.began_s + 8.5)
    assert (before["energy_dbfs"], before["busy_share"]) == (-45.0, 0.0)
    other = next(row["key"] for row in answer["subchannels"] if row["key"] != recorded.loud_key)
    assert at_column(answer, other, recorded.began_s + 13.5)["energy_dbfs"] == -45.0
    few = recorded.get("/api/history/channels", from_s=recorded.began_s, to_s=recorded.began_s + 40.0, columns=4)
    assert at_column(few, recorded.loud_key, recorded.began_s + 15.0)["energy_dbfs"] == -20.0, "the peak is kept"
    assert len(few["times_s"]) == 4
    one = recorded.get("/api/history/channels", from_s=recorded.began_s, columns=4, sensor="gate")
    assert one["subchannels"] == []


def test_a_waterfall_is_replayed_and_merged_to_the_strongest(recorded) -> None:
    answer = recorded.get(
        "/api/history/spectrum", sensor="roof", from_s=recorded.began_s, to_s=recorded.began_s + 40.0, rows=1000
    )
    assert answer["resolution"] == "spectrum-100ms"
    times = [row["time_s"] for row in answer["rows"]]
    assert times == sorted(times)
    assert len(times) == pytest.approx(400, abs=2)
    peaks = {
        row["time_s"]: max(np.frombuffer(base64.b64decode(row["levels"]), np.uint8)) * row["step_db"]
        + row["floor_dbfs"]
        for row in answer["rows"]
    }
    loud = [at_s for at_s, peak in peaks.items() if peak > -30.0]
    assert (min(loud), max(loud)) == (
        pytest.approx(recorded.loud[0], abs=0.11), pytest.approx(recorded.loud[1] - 0.1, abs=0.11),
    )  # fmt: skip
    few = recorded.get(
        "/api/history/spectrum", sensor="roof", from_s=recorded.began_s, to_s=recorded.began_s + 40.0, rows=4
    )
    strongest = [max(base64.b64decode(row["levels"])) for row in few["rows"]]
    assert len(strongest) <= 4
    assert strongest[1] == max(strongest) > strongest[0]
    assert few["rows"][0]["interval_s"] == pytest.approx(10.0, abs=0.5)


def test_the_reach_is_told_by_resolution(recorded) -> None:
    recorded.scene.attach()
    reach = recorded.get("/api/history")
    found = {one["name"]: one for one in reach["resolutions"]}
    assert set(found) == {resolution.stream for resolution in RESOLUTIONS}
    assert found["spectrum-1s"]["from_s"] == pytest.approx(recorded.began_s, abs=1.1)
    assert reach["from_s"] <= recorded.began_s
    assert reach["events_from_s"] == pytest.approx(time.time(), abs=60)


def test_the_finest_resolution_that_reaches_back_is_taken() -> None:
    live, second, ten = RESOLUTIONS
    assert resolution_for(950.0, 1000.0, 1000.0, RESOLUTIONS, 2500) is live
    assert resolution_for(800.0, 1000.0, 1000.0, RESOLUTIONS, 2500) is second
    assert resolution_for(99.0, 1000.0, 1000.0, RESOLUTIONS, 2500) is ten
    assert resolution_for(200.0, 1000.0, 1000.0, RESOLUTIONS, 100) is ten
    assert HISTORY_S == 21_600.0


def test_spans_are_bounded() -> None:
    assert span(None, None, 1e6, 60.0) == (1e6 - 60.0, 1e6)
    assert span(0.0, 2e6, 1e6, 60.0) == (1e6 - 2 * HISTORY_S, 1e6)
    with pytest.raises(BadInput, match="before"):
        span(10.0, 10.0, 1e6, 60.0)


def test_merging_leaves_out_rows_without_levels_and_other_widths() -> None:
    def row(time_s: float, levels: bytes | None) -> Row:
        text = None if levels is None else base64.b64encode(levels).decode()
        return Row("roof", time_s, 1.0, text, 868e6, 2.4e6, -120.0, 0.5, None if levels is None else len(levels))

    rows = [row(0, b"\x01\x05"), row(1, None), row(2, b"\x04\x02"), row(3, b"\x09")]
    merged = held(rows, 1)
    assert [base64.b64decode(one["levels"]) for one in merged] == [b"\x04\x05"]
    assert held([], 5) == []


def test_everything_at_an_instant(recorded) -> None:
    scene, database = recorded.scene, recorded.database
    at_s = recorded.began_s + 14.0
    scene.now_s = at_s - 5.0
    early = Lease("early", "dev-1", "gw-1", CELL, at_s - 5.0, at_s + 600.0, 1, False)
    database.restore("s", early, {}, at_s - 5.0, "")
    gone = Lease("gone", "dev-2", "gw-1", Subchannel(868.5e6, 125e3), at_s - 5.0, at_s + 600.0, 2, True)
    database.restore("s", gone, {}, at_s - 5.0, "")
    database.release("s", "gone", at_s - 1.0)
    late = Lease("late", "dev-3", "gw-1", Subchannel(867.1e6, 125e3), at_s + 3.0, at_s + 600.0, 1, False)
    database.restore("s", late, {}, at_s + 3.0, "")
    attached = {
        "event": "gateway",
        "gateway": "gw-1",
        "state": "attached",
        "reason": "",
        "at_us": str(round(1e6 * at_s)),
    }
    cut = attached | {"state": "detached", "at_us": str(round(1e6 * (at_s + 5)))}
    offline = {"event": "device_offline", "device": "meter", "at_us": str(round(1e6 * (at_s - 2)))}
    database.append("s", "events", [records.encode(event) for event in (attached, offline, cut)])
    scene.hear("dev-1", at_s - 3.0)
    scene.hear("dev-1", at_s + 9.0)
    scene.now_s = None
    state = recorded.get("/api/state", at_s=at_s)
    assert (state["time_s"], state["feed"]["state"]) == (at_s, "past")
    rows = {row["key"]: row for row in state["channels"]["subchannels"]}
    assert (rows[recorded.loud_key]["busy"], rows[recorded.loud_key]["state"]) == (True, "busy")
    assert (rows[recorded.loud_key]["peak_dbfs"], rows[recorded.loud_key]["busy_share"]) == (-20.0, 1.0)
    assert rows[KEY]["leases_now"] == 1
    assert [lease["lease_id"] for lease in state["leases"]["leases"]] == ["early"]
    assert state["gateways"]["gateways"][0]["state"] == "attached"
    devices = {device["device"]: device for device in state["devices"]["devices"]}
    assert devices["meter"]["offline"]
    assert devices["dev-1"]["last_seen_s"] == pytest.approx(at_s - 3.0)
    roof = next(sensor for sensor in state["sensors"]["sensors"] if sensor["sensor"] == "roof")
    assert (roof["clipping"], roof["stale"]) == (0.001, False)
    quiet = recorded.get("/api/state", at_s=recorded.began_s + 5.0)
    assert quiet["leases"]["leases"] == []
    assert not next(row for row in quiet["channels"]["subchannels"] if row["key"] == recorded.loud_key)["busy"]
    answer = recorded.client.get("/api/state", params={"at_s": time.time() + 100}, headers=recorded.viewer)
    assert answer.status_code == 400


def test_what_operators_had_said_at_an_instant(bench) -> None:
    first = bench.act(action="ban", subchannel=KEY).json()
    time.sleep(0.002)
    second = bench.act(action="policy", policy="random").json()
    time.sleep(0.002)
    bench.act(action="pin", subchannel=KEY)
    past = PastEvents(bench.site, bench.database)
    words = [past.word_at(at_s) for at_s in (first["time_s"] - 1e-3, first["time_s"], second["time_s"], time.time())]
    assert [word.rule(KEY) for word in words] == ["auto", "banned", "banned", "pinned"]
    assert [word.policy for word in words] == [None, None, "random", "random"]


def test_leases_by_time_are_clipped_to_their_real_end_and_bounded(bench) -> None:
    now_s = time.time()
    database = bench.database
    lease = Lease("1", "d", "gw-1", CELL, now_s - 20.0, now_s + 600.0, 1, False)
    for number in range(5):
        one = replace(lease, lease_id=str(number), start_s=now_s - 20.0 + number, end_s=now_s - 19.5 + number)
        database.restore("s", one, {}, one.start_s, "")
    database.restore("s", replace(lease, lease_id="cut", start_s=now_s - 10.0), {}, now_s - 10.0, "")
    database.release("s", "cut", now_s - 7.0)
    answer = bench.get("/api/history/channels", from_s=now_s - 30.0, to_s=now_s, columns=10)
    spans = {round(one["start_s"] - now_s, 3): round(one["end_s"] - now_s, 3) for one in answer["leases"]}
    assert spans[-10.0] == -7.0
    assert len(spans) == 6
    assert not answer["truncated"]
    past = PastEvents(bench.site, database)
    found, truncated = past.spans(now_s - 30.0, now_s, 3)
    assert (len(found), truncated) == (3, True)
    assert past.spans(now_s - 30.0, now_s - 25.0, 100) == ([], False)


def test_a_walk_that_is_too_long_says_so(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.past_events.PAGE", 5)
    monkeypatch.setattr("console.past_events.MOST_SCANNED", 10)
    now_s = time.time()
    event = records.encode({"event": "x", "at_us": str(records.microseconds(now_s))})
    bench.database.append("s", "events", [event] * 30)
    past = PastEvents(bench.site, bench.database)
    assert len(list(past.backwards(now_s + 1.0, now_s - 60.0))) == 10
    assert past.cut
    assert past.spans(now_s - 1.0, now_s, 5) == ([], True)
