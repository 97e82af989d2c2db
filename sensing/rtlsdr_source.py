"""The door to RTL-SDR dongles: the only file that imports rtlsdr (pyrtlsdr, with the librtlsdr of pyrtlsdrlib).

pyrtlsdr's `read_bytes_async` calls back from librtlsdr's own loop, in a thread of ours; the callback copies the bytes
into a bounded queue and returns. A watchdog restarts a dongle that falls silent or is plugged out and in again.

pyrtlsdr 0.4 and later asks its library for eight functions that Debian 12's librtlsdr 0.6.0 has not (dithering and
GPIO) and does not import with it; pyrtlsdrlib carries a newer librtlsdr, which pyrtlsdr prefers. AIRSHED_LIBRTLSDR
names another one, such as the driver that the V4 dongles of RTL-SDR Blog need, or the tests' virtual dongle.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sensing.live import LiveSource, OnHealth, Patience, SampleQueue
from sensing.rtl2832 import DEFAULT_GAIN_DB, check_tuning, nearest_gain_db
from sensing.source import Tuning
from spectrum.errors import BadInput, Failed

LIBRARY_VARIABLE: Final = "AIRSHED_LIBRTLSDR"

# What Debian 12's librtlsdr 0.6.0 lacks of what pyrtlsdr 0.5 asks for.
MISSING_IN_0_6: Final = (
    "rtlsdr_set_dithering, rtlsdr_set_gpio_output, rtlsdr_set_gpio_input, rtlsdr_set_gpio_bit, rtlsdr_get_gpio_bit, "
    "rtlsdr_set_gpio_byte, rtlsdr_get_gpio_byte and rtlsdr_set_gpio_status"
)

# A transfer of 6.8 ms at 2.4 MS/s: a multiple of 512 bytes, as librtlsdr wants it, and well under 20 ms of latency.
TRANSFER_BYTES: Final = 32768


@dataclass(frozen=True, slots=True)
class DongleSettings:
    """What a dongle is asked for. device: an index, or a serial number as text. gain_db: the nearest step is set."""

    device: int | str = 0
    center_hz: float = 868.0125e6
    rate_hz: float = 2.4e6
    gain_db: float = DEFAULT_GAIN_DB
    ppm: int = 0


@functools.cache
def _rtlsdr() -> Any:
    """The module rtlsdr, loaded with the library that AIRSHED_LIBRTLSDR names, or with pyrtlsdrlib's."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    try:
        if chosen:
            import pyrtlsdrlib

            pyrtlsdrlib.load_librtlsdr = lambda: ctypes.CDLL(chosen)
        import rtlsdr
    except AttributeError as error:  # a symbol that the library has not
        raise Failed(
            f"librtlsdr is too old for pyrtlsdr ({error}): Debian 12's 0.6 lacks {MISSING_IN_0_6}. "
            f"Install pyrtlsdrlib (pip install pyrtlsdrlib), or name a newer library in {LIBRARY_VARIABLE}"
        ) from None
    except (ImportError, OSError) as error:
        raise Failed(
            f"librtlsdr cannot be loaded ({error}): install pyrtlsdr and pyrtlsdrlib, "
            f"or name a library in {LIBRARY_VARIABLE}"
        ) from None
    return rtlsdr


def serials() -> list[str]:
    """Serial numbers of the dongles that are plugged in, by index; an empty text where one cannot be read (in use)."""
    rtlsdr = _rtlsdr()
    library = rtlsdr.librtlsdr
    found = []
    for index in range(library.rtlsdr_get_device_count()):
        text = (ctypes.c_ubyte * 256)()
        status = library.rtlsdr_get_device_usb_strings(index, None, None, text)
        found.append(bytes(text).split(b"\0")[0].decode("utf-8", "replace") if status == 0 else "")
    return found


def _index_of(device: int | str) -> int:
    """The index of a dongle named by index or serial; BadInput when there is none such."""
    plugged = serials()
    listed = ", ".join(f"{index} (serial {serial or 'unreadable'})" for index, serial in enumerate(plugged))
    if not plugged:
        raise Failed("no RTL-SDR dongle is plugged in: plug one in; lsusb should list 0bda:2838 or 0bda:2832")
    if isinstance(device, int):
        if 0 <= device < len(plugged):
            return device
        raise BadInput(f"no dongle has index {device}: plugged in are {listed}")
    fitting = [index for index, serial in enumerate(plugged) if serial == device]
    if not fitting:
        raise BadInput(f"no dongle has serial {device!r}: plugged in are {listed}")
    if len(fitting) > 1:
        raise BadInput(
            f"{len(fitting)} dongles have serial {device!r}: write a serial of its own into each with "
            "rtl_eeprom -s NAME, or choose by index"
        )
    return fitting[0]


# librtlsdr answers with libusb's codes: what they mean for a dongle, and what to do.
_ANSWERS: Final = {
    -1: "it does not answer: plug it out and in again",
    -3: "access is denied: install hardware/udev/60-airshed-rtlsdr.rules and plug it in again",
    -4: "it is unplugged: plug it in again",
    -6: "it is busy: another program or the kernel's DVB driver holds it; stop that program, "
    "or install hardware/modprobe/airshed-no-dvb.conf",
    -7: "it does not answer in time: try another USB port or a shorter cable",
    -12: "the kernel's DVB driver holds it: install hardware/modprobe/airshed-no-dvb.conf",
}


def _reason(error: OSError) -> str:
    status = error.errno if isinstance(error.errno, int) else 0
    return f"{_ANSWERS.get(status, str(error))} (librtlsdr answers {status})"


def open_dongle(settings: DongleSettings) -> tuple[Any, Tuning]:
    """An opened pyrtlsdr.RtlSdr with manual gain and the converter's AGC off, and what it is really set to."""
    check_tuning(settings.center_hz, settings.rate_hz)
    index = _index_of(settings.device)
    try:
        dongle = _rtlsdr().RtlSdr(index)
    except OSError as error:
        raise Failed(f"dongle {settings.device}: {_reason(error)}") from None
    try:
        return dongle, _configure(dongle, settings)
    except OSError as error:
        dongle.close()
        raise Failed(f"dongle {settings.device}: {_reason(error)}") from None


def _configure(dongle: Any, settings: DongleSettings) -> Tuning:
    dongle.sample_rate = settings.rate_hz
    if settings.ppm != dongle.freq_correction:  # librtlsdr answers -2 to the value it has
        dongle.freq_correction = settings.ppm
    dongle.center_freq = settings.center_hz
    # Both automatic gains would move the threshold under the detector's feet.
    dongle.gain = nearest_gain_db(settings.gain_db, dongle.valid_gains_db)
    dongle.set_agc_mode(False)
    return tuning_of(dongle, settings)


def tuning_of(dongle: Any, settings: DongleSettings) -> Tuning:
    """What a dongle is set to: its own rounding of rate and gain; the centre as librtlsdr keeps it."""
    library = _rtlsdr().librtlsdr
    # pyrtlsdr rounds the centre it reports to 1 kHz; librtlsdr keeps it in Hz.
    center_hz = float(library.rtlsdr_get_center_freq(dongle.dev_p))
    rate_hz = float(dongle.sample_rate)
    return Tuning(
        center_hz=center_hz,
        rate_hz=rate_hz,
        gain_db=float(dongle.gain),
        agc=False,
        asked_center_hz=settings.center_hz if center_hz != settings.center_hz else None,
        asked_rate_hz=settings.rate_hz if rate_hz != settings.rate_hz else None,
    )


@dataclass(slots=True)
class CounterCheck:
    """The dongle's test mode, where every byte is one more than the one before: what came, and what is missing.

    Missing bytes show modulo 256, so that the count is the least that it can be.
    """

    seen_bytes: int = 0
    lost_bytes: int = 0
    _last: int | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        counter = np.frombuffer(data, np.uint8)
        if self._last is not None:
            counter = np.concatenate([np.array([self._last], np.uint8), counter])
        steps = np.diff(counter)  # in uint8: modulo 256
        self.lost_bytes += int(np.sum(steps - np.uint8(1), dtype=np.int64))
        self.seen_bytes += len(data)
        self._last = int(counter[-1])


def try_test_mode(settings: DongleSettings, seconds: float, timeout_s: float) -> CounterCheck:
    """Run a dongle's test mode for `seconds` of its rate, and for `timeout_s` at the most.

    The first transfer, which may be old, is not looked at.
    """
    check_tuning(settings.center_hz, settings.rate_hz)
    check, transfers = CounterCheck(), 0
    wanted = 2 * seconds * settings.rate_hz

    def take(values: Any, dongle: Any) -> None:
        nonlocal transfers
        transfers += 1
        if transfers > 1:
            check.feed(bytes(values))
        if check.seen_bytes >= wanted:
            dongle.cancel_read_async()

    try:
        dongle = _rtlsdr().RtlSdr(_index_of(settings.device), test_mode_enabled=True)
        cancel = _rtlsdr().librtlsdr.rtlsdr_cancel_async
        silence = threading.Timer(timeout_s, cancel, [dongle.dev_p])
        silence.daemon = True
        silence.start()
        try:
            dongle.sample_rate = settings.rate_hz
            dongle.read_bytes_async(take, TRANSFER_BYTES)
        finally:
            silence.cancel()
            silence.join()  # it must not cancel what has been closed
            dongle.close()
    except OSError as error:
        raise Failed(f"dongle {settings.device}: {_reason(error)}") from None
    return check


class _Dongle(threading.Thread):
    """Runs librtlsdr's loop until it is cancelled or ends by itself, then closes the dongle.

    Closing frees what cancelling needs, and pyrtlsdr closes by itself after an error: a lock keeps the two apart.
    """

    def __init__(self, settings: DongleSettings) -> None:
        super().__init__(name="rtlsdr", daemon=True)
        self._dongle, self.tuning = open_dongle(settings)
        self.ended = ""
        self._queue: SampleQueue | None = None
        self._lock = threading.RLock()
        self._close_dongle = self._dongle.close
        self._dongle.close = self._close

    def start(self, queue: SampleQueue | None = None) -> None:
        """Begin to push into `queue`."""
        self._queue = queue
        super().start()

    def run(self) -> None:
        assert self._queue is not None
        push = self._queue.push
        try:
            # The values stand in librtlsdr's buffer, which it fills anew after the callback: bytes() copies them.
            self._dongle.read_bytes_async(lambda values, _: push(bytes(values)), TRANSFER_BYTES)
            self.ended = "the stream ended by itself: was it unplugged?"
        except OSError as error:
            self.ended = _reason(error)
        finally:
            self._close()

    def _close(self) -> None:
        with self._lock:
            self._close_dongle()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Cancel the loop and wait; whether it has ended."""
        if self.ident is None:  # never started
            self._close()
        deadline_s = time.monotonic() + timeout_s
        while self.is_alive() and time.monotonic() < deadline_s:
            with self._lock:
                if self._dongle.device_opened:
                    # pyrtlsdr's own cancel closes the dongle when the loop has not begun yet, under its feet.
                    _rtlsdr().librtlsdr.rtlsdr_cancel_async(self._dongle.dev_p)
            self.join(0.02)
        return not self.is_alive()


class RtlSdrSource(LiveSource):
    """A dongle as a source of IQ.

    Opening raises BadInput (no such index, serial, rate) or Failed (absent, busy, unplugged).
    """

    def __init__(
        self,
        settings: DongleSettings,
        *,
        queue_s: float = 1.0,
        patience: Patience | None = None,
        on_health: OnHealth | None = None,
    ) -> None:
        super().__init__(
            f"rtlsdr:{settings.device}",
            lambda: _Dongle(settings),
            queue_s=queue_s,
            patience=patience,
            on_health=on_health,
        )
