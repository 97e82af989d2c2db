"""The ledger against a brute-force count of airtime in every window."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectrum.duty_cycle import DutyCycleLedger, off_time_s
from spectrum.eu868 import SUB_BANDS

requests = st.lists(st.tuples(st.floats(0.0, 2000.0), st.floats(0.01, 5.0)), min_size=1, max_size=60)


def airtime_in(sent: list[tuple[float, float]], opens_s: float, closes_s: float) -> float:
    """Seconds on the air in [opens, closes], straight from the definition."""
    return sum(max(0.0, min(start + length, closes_s) - max(start, opens_s)) for start, length in sent)


@given(requests)
@settings(max_examples=200, deadline=None)
def test_no_window_of_an_hour_ever_exceeds_the_budget(gaps: list[tuple[float, float]]) -> None:
    ledger = DutyCycleLedger(SUB_BANDS["K"])
    sent: list[tuple[float, float]] = []
    now_s = 0.0
    for gap_s, airtime_s in gaps:
        now_s += gap_s
        start_s = ledger.earliest_s(now_s, airtime_s)
        if start_s is None:
            assert airtime_s > ledger.budget_s
            continue
        assert start_s >= now_s
        ledger.record(start_s, airtime_s)
        sent.append((start_s, airtime_s))
    for start_s, airtime_s in sent:
        # The fullest windows end with a transmission or begin with one.
        end_s = start_s + airtime_s
        assert airtime_in(sent, end_s - 3600.0, end_s) <= ledger.budget_s + 3e-6
        assert airtime_in(sent, start_s, start_s + 3600.0) <= ledger.budget_s + 3e-6


def test_sigfox_gets_five_messages_of_twelve_bytes_in_an_hour() -> None:
    # 36 s hold five of 6.24 s (notes 6.5).
    ledger = DutyCycleLedger(SUB_BANDS["M"])
    starts = []
    for k in range(6):
        start_s = ledger.earliest_s(10.0 * k, 6.24)
        assert start_s is not None
        ledger.record(start_s, 6.24)
        starts.append(start_s)
    assert starts[:5] == [0.0, 10.0, 20.0, 30.0, 40.0]
    # 36 s - 5 x 6.24 s leave 4.8 s; 1.44 s of the first message must have left the window when the sixth ends.
    assert starts[5] == pytest.approx(3600.0 + 1.44 - 6.24)


def test_earliest_is_not_later_than_needed() -> None:
    ledger = DutyCycleLedger(SUB_BANDS["K"])
    ledger.record(0.0, 3.0)
    start_s = ledger.earliest_s(5.0, 1.0)
    assert start_s is not None
    assert start_s == pytest.approx(3600.0 + 0.4 - 1.0)


def test_off_time() -> None:
    assert off_time_s(2.0, 0.01) == pytest.approx(198.0)
    assert off_time_s(2.0, 1.0) == 0.0
