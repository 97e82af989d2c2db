"""Which source a few words mean: one row for each kind. Nothing is imported before its kind is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sensing.source import IqSource

if TYPE_CHECKING:
    from sensing.live import OnHealth


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to open and how to set it; None where the source itself knows (a file's name tells rate and centre).

    format_name, follow: of recordings, see sensing.files. on_health: told by a live source when it goes stale, runs
    again or gives up.
    """

    place: str
    center_hz: float | None = None
    rate_hz: float | None = None
    gain_db: float | None = None
    loop: bool = False
    seed: int = 1
    on_health: OnHealth | None = None
    format_name: str | None = None
    follow: bool = False


def _synthetic(wanted: Wanted) -> IqSource:
    from sensing.scenes import scene_named
    from sensing.synthetic import SyntheticSource

    scene = scene_named(wanted.place.partition(":")[2] or "busy")
    return SyntheticSource(scene(wanted.center_hz or 868.0125e6, wanted.rate_hz or 2.4e6, wanted.seed))


def device_named(place: str) -> int | str:
    """The dongle that `rtlsdr`, `rtlsdr:INDEX` or `rtlsdr:SERIAL` names: one or two digits are an index."""
    device = place.removeprefix("rtlsdr").removeprefix(":") or "0"
    return int(device) if device.isdigit() and len(device) <= 2 else device


def _rtlsdr(wanted: Wanted) -> IqSource:
    from sensing.rtl2832 import DEFAULT_GAIN_DB
    from sensing.rtlsdr_source import DongleSettings, RtlSdrSource

    settings = DongleSettings(
        device=device_named(wanted.place),
        center_hz=wanted.center_hz or 868.0125e6,
        rate_hz=wanted.rate_hz or 2.4e6,
        gain_db=DEFAULT_GAIN_DB if wanted.gain_db is None else wanted.gain_db,
    )
    return RtlSdrSource(settings, on_health=wanted.on_health)


def _rtl_tcp(wanted: Wanted) -> IqSource:
    from sensing.rtl2832 import DEFAULT_GAIN_DB
    from sensing.rtl_tcp_source import RtlTcpSettings, RtlTcpSource, split_address

    host, port = split_address(wanted.place)
    settings = RtlTcpSettings(
        host,
        port,
        center_hz=wanted.center_hz or 868.0125e6,
        rate_hz=wanted.rate_hz or 2.4e6,
        gain_db=DEFAULT_GAIN_DB if wanted.gain_db is None else wanted.gain_db,
    )
    return RtlTcpSource(settings, on_health=wanted.on_health)


def _file(wanted: Wanted) -> IqSource:
    from sensing.files import FileSource, find_recording

    recording = find_recording(
        wanted.place,
        rate_hz=wanted.rate_hz,
        center_hz=wanted.center_hz,
        format_name=wanted.format_name,
        gain_db=wanted.gain_db,
        growing=wanted.follow,
    )
    return FileSource(recording, loop=wanted.loop, follow=wanted.follow)


# Sources that come at their own pace; everything else is played at the speed of the air.
LIVE_KINDS: Final = ("rtlsdr", "rtl_tcp")

# How a source is named: the words before the first colon, and who opens it.
OPENERS: Final[dict[str, Callable[[Wanted], IqSource]]] = {
    "synthetic": _synthetic,
    "rtlsdr": _rtlsdr,
    "rtl_tcp": _rtl_tcp,
}


def open_source(wanted: Wanted) -> IqSource:
    """The source that `wanted.place` names: a kind of OPENERS, else a recording's file."""
    kind = wanted.place.partition(":")[0]
    if kind in OPENERS:
        return OPENERS[kind](wanted)
    return _file(wanted)
