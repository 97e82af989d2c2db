"""Traces as they come: units, zones, order, copies, broken rows, nothing at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.periodic.tidy import tidy
from monitoring.periodic.trace import Receptions, read_trace
from spectrum.errors import BadInput

EPOCH_S = 1_700_000_000.0


def write(path: Path, text: str) -> Path:
    """A file with this text."""
    path.write_text(text, encoding="utf-8")
    return path


def trace_of(rows: list[tuple[str, float, str]]) -> Receptions:
    """Receptions of (device, time, gateway)."""
    devices = sorted({device for device, _, _ in rows})
    gateways = sorted({gateway for _, _, gateway in rows})
    return Receptions(
        device=np.array([devices.index(device) for device, _, _ in rows], dtype=np.int64),
        time_s=np.array([time for _, time, _ in rows], dtype=np.float64),
        application=np.full(len(rows), -1, dtype=np.int64),
        gateway=np.array([gateways.index(gateway) for _, _, gateway in rows], dtype=np.int64),
        devices=tuple(devices),
        gateways=tuple(gateways),
    )


def test_one_instant_in_every_notation(tmp_path: Path) -> None:
    words = ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"]
    words += ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14 22:13:20", "2023-11-14T14:13:20-08:00"]
    path = write(tmp_path / "t.csv", "device,time_s\n" + "".join(f"a,{word}\n" for word in words))
    trace = read_trace(path)
    assert trace.time_s == pytest.approx(np.full(8, EPOCH_S))
    assert trace.notes.units == {"s": 1, "ms": 1, "us": 1, "ns": 1, "ISO 8601": 4}
    assert trace.notes.naive_times == 1
    assert any("several units" in sentence for sentence in trace.notes.sentences())


def test_times_without_a_zone_follow_the_zone_through_its_daylight_saving(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "device,time_s\na,2024-03-31T01:30:00\na,2024-03-31T03:30:00\n")
    times = read_trace(path, zone=ZoneInfo("Europe/Paris")).time_s
    assert np.diff(times) == pytest.approx([3600.0])


def test_a_named_unit_is_believed(tmp_path: Path) -> None:
    named = write(tmp_path / "named.csv", "device,time_ms\na,1500\n")
    assert read_trace(named).time_s.tolist() == [1.5]
    plain = write(tmp_path / "plain.csv", "device,time_s\na,1500\n")
    assert read_trace(plain).time_s.tolist() == [1500.0]
    assert read_trace(plain, unit="ms").time_s.tolist() == [1.5]


def test_other_names_other_delimiters_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "\ufeffDevEUI;Timestamp;fport;gateway\n00A1;5;2;g\n00B2;6;3;h\n")
    trace = read_trace(path)
    assert trace.devices == ("00A1", "00B2")
    assert trace.applications == ("2", "3")
    assert trace.gateways == ("g", "h")


def test_one_identifier_in_two_networks_is_two_devices(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path / "t.csv", "network,device,time_s\nn,a,1\nm,a,2\nn,b,3\nn,a,4\n,a,5\n"))
    assert trace.devices == ("n/a", "m/a", "n/b")
    assert trace.device.tolist() == [0, 1, 2, 0]
    assert trace.notes.unreadable == 1
    alone = read_trace(write(tmp_path / "u.csv", "network,device,time_s\nn,a,1\nn,b,2\n"))
    assert alone.devices == ("a", "b")


def test_broken_rows_are_counted_with_an_example(tmp_path: Path) -> None:
    text = "device,time_s\na,1\n,2\na,noon\na,\na,inf\na,1,2\nb,3\n"
    trace = read_trace(write(tmp_path / "t.csv", text))
    assert len(trace) == 2
    assert trace.notes.unreadable == 5
    assert trace.notes.rows == 7
    assert any("5 rows could not be read" in sentence for sentence in trace.notes.sentences())


@pytest.mark.parametrize("text", ["", "\n\n", "device,time_s\n", "device,time_s"])
def test_a_file_without_receptions(tmp_path: Path, text: str) -> None:
    trace = read_trace(write(tmp_path / "t.csv", text))
    assert len(trace) == 0
    assert trace.notes.sentences() == ["the trace holds no receptions"]


def test_what_is_no_trace_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="found no file"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="expected a column time_s"):
        read_trace(write(tmp_path / "t.csv", "device,when\na,1\n"))
    with pytest.raises(BadInput, match="Parquet"):
        read_trace(write(tmp_path / "t.parquet", "device,time_s\n"))


def test_parquet_with_every_kind_of_time(tmp_path: Path) -> None:
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    columns = {
        "zoned": pa.array([moment], pa.timestamp("ms", tz="Europe/Paris")),
        "naive": pa.array([moment.replace(tzinfo=None)], pa.timestamp("ns")),
        "float": pa.array([EPOCH_S]),
        "integer": pa.array([int(EPOCH_S * 1000)]),
        "text": pa.array([moment.isoformat()]),
    }
    for name, column in columns.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"device": ["a"], "time_s": column}), path)
        assert read_trace(path).time_s == pytest.approx([EPOCH_S]), name


def test_copies_through_other_gateways_are_merged_and_transmissions_are_not() -> None:
    rows = [("a", 10.0, "g"), ("a", 10.4, "h"), ("a", 11.5, "i"), ("a", 12.5, "g"), ("b", 10.1, "g"), ("a", 10.0, "g")]
    result = tidy(trace_of(rows))
    assert result.receptions.time_s.tolist() == [10.0, 12.5, 10.1]
    assert result.copies.tolist() == [3, 0]
    assert result.receptions.notes.duplicates == 3
    assert result.receptions.notes.out_of_order == 1


def test_a_copy_is_that_of_its_own_report() -> None:
    # two reports overlap: the copy through i at 11.9 can only be the first one's, that through h at 12.1 the second's
    rows = [("a", 10.0, "g"), ("a", 10.1, "h"), ("a", 10.9, "g"), ("a", 11.9, "i"), ("a", 12.1, "h")]
    result = tidy(trace_of(rows))
    assert result.receptions.time_s.tolist() == [10.0, 10.9]
    assert result.heard.tolist() == [0, 0, 1, 0, 1]


def test_reports_of_unlike_size_are_no_copies() -> None:
    trace = replace(trace_of([("a", 10.0, "g"), ("a", 10.3, "h"), ("a", 10.5, "i")]), size=np.array([12, 30, 12]))
    assert tidy(trace).receptions.time_s.tolist() == [10.0, 10.3]


def test_merging_is_the_plain_rule_on_random_traces() -> None:
    rng = np.random.default_rng(9)
    for _ in range(30):
        count = int(rng.integers(1, 40))
        rows = [("a", float(t), f"g{rng.integers(3)}") for t in np.sort(rng.uniform(0, 30, count))]
        groups: list[tuple[float, set[str]]] = []
        for _, time, gateway in rows:
            mine = [one for one in groups if time - one[0] <= 2.0 and (gateway not in one[1] or time - one[0] <= 0.01)]
            if mine:
                mine[0][1].add(gateway)
            else:
                groups.append((time, {gateway}))
        assert tidy(trace_of(rows)).receptions.time_s.tolist() == [time for time, _ in groups]


def test_iso_times_and_seconds_give_the_same_periods(tmp_path: Path) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    lines = [f"a,{(start + timedelta(seconds=60 * k)).isoformat()}" for k in range(5)]
    trace = read_trace(write(tmp_path / "t.csv", "device,time_s\n" + "\n".join(lines)))
    assert np.diff(trace.time_s) == pytest.approx(np.full(4, 60.0))
