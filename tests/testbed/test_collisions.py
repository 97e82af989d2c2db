"""Collision counting against the definition, and the random twin of a traffic."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, Subchannel
from testbed.collisions import OnAir, collided, random_access

CELLS = (*LORAWAN_DEFAULT_CHANNELS, Subchannel(868.138e6, 16e3))

transmissions = st.lists(
    st.builds(
        lambda cell, start, length: OnAir("d", CELLS[cell], start, start + length),
        st.integers(0, 3),
        st.integers(0, 40).map(float),
        st.integers(1, 5).map(float),
    ),
    max_size=40,
)


@given(transmissions)
@settings(max_examples=200, deadline=None)
def test_the_sweep_counts_as_the_definition_does(sent: list[OnAir]) -> None:
    by_definition = sum(
        any(
            one is not other
            and one.subchannel.overlap_hz(other.subchannel) > 0
            and one.start_s < other.end_s
            and other.start_s < one.end_s
            for other in sent
        )
        for one in sent
    )
    assert collided(sent) == by_definition


def test_the_random_twin_sends_the_same_packets_at_once() -> None:
    packets = [
        {"device": "a", "technology": "lora", "ready_s": 1.0, "airtime_s": 0.1, "copies": 1},
        {"device": "b", "technology": "sigfox", "ready_s": 2.0, "airtime_s": 1.76, "copies": 3},
    ]
    cells = {"lora": CELLS[:3], "sigfox": CELLS[3:]}
    sent = random_access(packets, cells, seed=1)
    assert [(one.device, one.start_s) for one in sent] == [("a", 1.0), ("b", 2.0), ("b", 3.76), ("b", 5.52)]
    assert sent == random_access(packets, cells, seed=1)
