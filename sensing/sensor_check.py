"""Trying a receiver: opens it as often as the check needs, and hands what it saw to `checkup`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sensing.checkup import GainStep, Observation, gather, mean_power_dbfs
from sensing.opening import LIVE_KINDS, Wanted, open_source
from sensing.rtl2832 import DEFAULT_GAIN_DB, R820T_GAINS_DB

# Five gains over the R820T's table, and how long each is listened to after a pause for the tuner to settle.
GAINS_DB: Final = R820T_GAINS_DB[:: len(R820T_GAINS_DB) // 4]
STEP_S: Final = 0.1
SETTLE_S: Final = 0.1
# How much longer than asked for a receiver may take.
GRACE_S: Final = 3.0
# Share of the time that a dongle spends in its test mode.
TEST_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to try. place: a source as `airshed sense` names it. full_scale_dbm: by gain, from a calibration."""

    place: str = "rtlsdr"
    seconds: float = 10.0
    center_hz: float | None = None
    rate_hz: float | None = None
    gain_db: float | None = None
    carrier_hz: float | None = None
    terminated: bool = False
    full_scale_dbm: Callable[[float | None], float | None] = lambda gain_db: None


def check_sensor(options: CheckOptions) -> Observation:
    """Measure a receiver for about `seconds`; BadInput or Failed when it cannot be opened or dies."""
    wanted = Wanted(options.place, options.center_hz, options.rate_hz, options.gain_db)
    live = options.place.startswith(LIVE_KINDS)
    seen = _listen(wanted, options.seconds * (1.0 - TEST_SHARE if live else 1.0))
    delivers = seen.received > 0  # else there is nothing to learn from the rest
    gains = tuple(_at_gain(wanted, gain_db) for gain_db in GAINS_DB) if live and delivers else ()
    tested = _test_mode(wanted, TEST_SHARE * options.seconds) if delivers else None
    return replace(
        seen,
        seconds=options.seconds,
        live=live,
        gains=gains,
        test_bytes=tested[0] if tested else None,
        test_lost_bytes=tested[1] if tested else None,
        carrier_hz=options.carrier_hz,
        terminated=options.terminated,
        offset_db=options.full_scale_dbm(seen.tuning.gain_db),
    )


def _listen(wanted: Wanted, seconds: float) -> Observation:
    """Gather from a source; one that falls silent is closed rather than waited for."""
    with open_source(wanted) as source:
        closer = threading.Timer(seconds + GRACE_S, source.close)
        closer.daemon = True
        closer.start()
        try:
            return gather(source, seconds)
        finally:
            closer.cancel()


def _at_gain(wanted: Wanted, gain_db: float) -> GainStep:
    seen = _listen(replace(wanted, gain_db=gain_db), SETTLE_S + STEP_S)
    settled = seen.kept[round(SETTLE_S * seen.tuning.rate_hz) :]
    return GainStep(gain_db if seen.tuning.gain_db is None else seen.tuning.gain_db, mean_power_dbfs(settled))


def _test_mode(wanted: Wanted, seconds: float) -> tuple[int, int] | None:
    """Bytes seen and lost in the test mode of a dongle that is plugged in here; None for every other source."""
    if not wanted.place.startswith("rtlsdr"):
        return None
    from sensing.opening import device_named
    from sensing.rtlsdr_source import DongleSettings, try_test_mode

    settings = DongleSettings(device_named(wanted.place), rate_hz=wanted.rate_hz or 2.4e6, gain_db=DEFAULT_GAIN_DB)
    check = try_test_mode(settings, seconds, seconds + GRACE_S)
    return check.seen_bytes, check.lost_bytes
