"""The demo lays its site over whatever a capture hears."""

from __future__ import annotations

import pytest

from spectrum.errors import BadInput
from spectrum.eu868 import SIGFOX_UPLINK
from spectrum.site_file import parse_site
from testbed.demo_site import DemoPlan, lay_out, site_toml

CAPTURES = [
    (868.0125e6, 2.4e6), (868.95e6, 1.6e6), (868.625e6, 2.4e6), (868.3e6, 250e3), (868.3e6, 1e6),
    (868.35e6, 1e6), (912.38e6, 2359296.0), (1090e6, 2e6),
]  # fmt: skip


@pytest.mark.parametrize(("center_hz", "rate_hz"), CAPTURES)
def test_every_subchannel_is_inside_the_capture(center_hz: float, rate_hz: float) -> None:
    lora_hz, sigfox_hz = lay_out(center_hz, rate_hz)
    plan = DemoPlan("x.cu8", center_hz, rate_hz, lora_hz, sigfox_hz, False, 10, 5, 6.0, 50000)
    site = parse_site(site_toml(plan), "demo")
    cells = (*site.spectrum.lora, *site.spectrum.sigfox)
    assert len(site.spectrum.lora) >= 2
    assert len(site.spectrum.sigfox) == 12
    assert all(center_hz - rate_hz / 2 <= c.low_hz and c.high_hz <= center_hz + rate_hz / 2 for c in cells)


def test_the_real_channels_where_they_are_heard() -> None:
    lora_hz, sigfox_hz = lay_out(868.0125e6, 2.4e6)
    assert lora_hz == (867.1e6, 867.3e6, 867.5e6, 867.7e6, 867.9e6, 868.1e6, 868.3e6, 868.5e6)
    assert sigfox_hz == SIGFOX_UPLINK.center_hz


def test_too_narrow_a_capture_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 192 kS/s"):
        lay_out(868e6, 100e3)
