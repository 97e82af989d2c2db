"""Reading and drawing traffic, and what is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planning.grouping.assignment import Assignment, check, read_previous, write_assignment
from planning.grouping.traffic import duration_range, generate, read_devices, traffic_of, write_devices
from spectrum.errors import BadInput, Failed


def file_of(tmp_path: Path, *rows: str, header: str = "device,interval,duration,start") -> Path:
    path = tmp_path / "devices.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_table_iii_durations() -> None:
    assert [duration_range("low", interval) for interval in (10, 20, 40)] == [(1, 1), (2, 3), (4, 6)]
    assert [duration_range("medium", interval) for interval in (10, 20, 40)] == [(2, 2), (3, 5), (6, 10)]
    assert [duration_range("high", interval) for interval in (10, 20, 40)] == [(3, 5), (5, 10), (10, 20)]


@pytest.mark.parametrize("load", ["low", "medium", "high"])
def test_drawn_traffic_is_uniform_over_table_iii(load: str) -> None:
    traffic = generate(30_000, load, np.random.default_rng(5))
    for interval in (10, 20, 40):
        mine = traffic.interval == interval
        assert abs(mine.mean() - 1 / 3) < 0.015
        low, high = duration_range(load, interval)
        seen, times = np.unique(traffic.duration[mine], return_counts=True)
        assert seen.tolist() == list(range(low, high + 1))
        assert np.all(np.abs(times / mine.sum() - 1 / seen.size) < 0.02)
        assert np.all(traffic.start[mine] + traffic.duration[mine] <= interval)
        assert traffic.start[mine].min() == 0


def test_a_file_comes_back_as_it_was_written(tmp_path: Path, drawn) -> None:
    traffic = drawn(30, "high", 1)
    write_devices(tmp_path / "d.csv", traffic)
    again = read_devices(tmp_path / "d.csv")
    assert again.names == traffic.names
    assert np.array_equal(again.interval, traffic.interval)
    assert np.array_equal(again.duration, traffic.duration)
    assert np.array_equal(again.start, traffic.start)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,10,0,0", "never sends"),
        ("a,10,11,0", "within the interval"),
        ("a,0,1,0", "interval of 1 to"),
        ("a,-5,1,0", "interval of 1 to"),
        ("a,99999999999,1,0", "interval of 1 to"),
        ("a,10,1,-1", "at least 0"),
        ("a,10,1.5,0", "whole number of slots"),
        ("a,ten,1,0", "whole number of slots"),
        ("a,10,1", "complete it"),
        (",10,1,0", "device id"),
        ("b,20,1,0", "listed twice"),
    ],
)
def test_what_no_line_could_carry_is_refused_with_the_reason(tmp_path: Path, row: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_devices(file_of(tmp_path, "b,10,1,0", row))


def test_missing_columns_files_and_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="missing: start"):
        read_devices(file_of(tmp_path, "a,1,1", header="device,interval,duration"))
    with pytest.raises(BadInput, match="found none"):
        read_devices(file_of(tmp_path))
    with pytest.raises(BadInput, match="cannot read"):
        read_devices(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "text",
    [
        "device,interval,duration,start\r\na,10,2,0\r\nb,20,3,5\r\n",
        "\ufeffdevice,interval,duration,start\na,10,2,0\nb,20,3,5\n",
        "site,START,Interval, duration ,device\nx,0,10,2,a\nx,5,20,3,b\n",
        "device,interval,duration,start\na,10.0,2,0\n\n  \nb,2e1,3.0,5,unasked\n",
        '"device","interval","duration","start"\n"a"," 10 ",2,0\n"b",20,3,25\n',
    ],
)
def test_files_of_other_programs_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "devices.csv"
    path.write_bytes(text.encode())
    traffic = read_devices(path)
    assert traffic.names == ("a", "b")
    assert traffic.interval.tolist() == [10, 20]
    assert traffic.duration.tolist() == [2, 3]
    assert traffic.start.tolist() == [0, 5]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "missing: device, interval"),
        (b"device;interval;duration;start\na;10;2;0\n", "with commas between"),
        (b"device,device,interval,duration,start\na,b,10,2,0\n", "one column 'device'"),
        (b"device,interval,duration,start\na,1_0,2,0\n", "whole number of slots"),
        (b"device,interval,duration,start\na,inf,2,0\n", "whole number of slots"),
        (b"device,interval,duration,start\na,10,2,0\x00\n", "whole number of slots"),
        (b"\xff\xfe\xba", "cannot read"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "devices.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=reason):
        read_devices(path)


def test_starts_beyond_all_bounds_wrap_too(tmp_path: Path) -> None:
    assert read_devices(file_of(tmp_path, f"a,10,2,{10**30 + 7}")).start.tolist() == [7]


def test_seconds_become_the_slots_a_transmission_touches(tmp_path: Path) -> None:
    traffic = read_devices(file_of(tmp_path, "a,600,1.2,3.9", "b,60,2,59"), slot_s=2.0)
    assert traffic.interval.tolist() == [300, 30]
    # 3.9 to 5.1 s touches slots 1 and 2; 59 to 61 s the last slot of the minute and the first.
    assert traffic.start.tolist() == [1, 29]
    assert traffic.duration.tolist() == [2, 2]
    with pytest.raises(BadInput, match="choose a --slot-s that divides it"):
        read_devices(file_of(tmp_path, "a,61,1,0"), slot_s=2.0)
    with pytest.raises(BadInput, match="finite"):
        read_devices(file_of(tmp_path, "a,60,nan,0"), slot_s=2.0)


def test_starts_wrap_into_their_interval(tmp_path: Path) -> None:
    assert read_devices(file_of(tmp_path, "a,10,2,37")).start.tolist() == [7]


def test_a_guard_parts_two_devices_both_ways() -> None:
    rows = [("a", 10, 3, 0), ("b", 10, 3, 4)]
    together = Assignment((1, 1), (0, 0))
    check(traffic_of(rows).with_guard(1), together, 0)
    with pytest.raises(Failed, match="meet on line 1"):
        check(traffic_of(rows).with_guard(2), together, 0)
    with pytest.raises(Failed, match="meet on line 1"):
        check(traffic_of([rows[0], ("b", 10, 3, 6)]).with_guard(2), together, 0)


def test_a_guard_longer_than_the_pause_takes_the_line_alone() -> None:
    assert traffic_of([("a", 10, 8, 0)]).with_guard(5).duration.tolist() == [10]


def test_the_checker_says_no(meets_slot_by_slot, drawn) -> None:
    traffic = traffic_of([("a", 6, 2, 0), ("b", 10, 3, 2)])
    for shift in range(-3, 4):
        answer = Assignment((1, 1), (0, shift))
        if meets_slot_by_slot(traffic, answer):
            with pytest.raises(Failed, match="meet"):
                check(traffic, answer, 3)
        else:
            check(traffic, answer, 3)
    with pytest.raises(Failed, match="more than 1"):
        check(traffic, Assignment((1, 2), (0, 2)), 1)
    with pytest.raises(Failed, match="no line"):
        check(traffic, Assignment((1, -1), (0, 0)), 1)
    with pytest.raises(Failed, match="2 devices"):
        check(traffic, Assignment((1,), (0,)), 1)


def test_assignments_are_read_back_and_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "now.csv"
    write_assignment(path, ["a", "b"], Assignment((1, 2), (0, -3)))
    assert read_previous(path).places == {"a": (1, 0), "b": (2, -3)}
    path.write_text("device,line,shift\na,x,0\n")
    with pytest.raises(BadInput, match="device 'a'"):
        read_previous(path)
    path.write_text("device,line,shift\na,1,0\na,2,0\n")
    with pytest.raises(BadInput, match="twice"):
        read_previous(path)
    path.write_text(f"device,line,shift\na,{2**70},0\n")
    with pytest.raises(BadInput, match="number the lines anew"):
        read_previous(path)
    path.write_text("device,line\na,1\n")
    with pytest.raises(BadInput, match="missing: shift"):
        read_previous(path)
