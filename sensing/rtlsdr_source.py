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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sensing.live import Health, HealthLog, OnHealth, SampleQueue
from sensing.source import IqBlock, SourceContext, Tuning
from spectrum.errors import AirshedError, BadInput, Failed

LIBRARY_VARIABLE: Final = "AIRSHED_LIBRTLSDR"

# What Debian 12's librtlsdr 0.6.0 lacks of what pyrtlsdr 0.5 asks for.
MISSING_IN_0_6: Final = (
    "rtlsdr_set_dithering, rtlsdr_set_gpio_output, rtlsdr_set_gpio_input, rtlsdr_set_gpio_bit, rtlsdr_get_gpio_bit, "
    "rtlsdr_set_gpio_byte, rtlsdr_get_gpio_byte and rtlsdr_set_gpio_status"
)

# A transfer of 6.8 ms at 2.4 MS/s: a multiple of 512 bytes, as librtlsdr wants it, and well under 20 ms of latency.
TRANSFER_BYTES: Final = 32768

# About the middle of the R820T's range: the noise of the air then spans a few steps of the converter.
DEFAULT_GAIN_DB: Final = 25.0

# How the RTL2832U's resampler and the usual tuners limit what can be asked (librtlsdr, rtlsdr_set_sample_rate).
RATES_HZ: Final = ((225_001, 300_000), (900_001, 3_200_000))


@dataclass(frozen=True, slots=True)
class DongleSettings:
    """What a dongle is asked for. device: an index, or a serial number as text. gain_db: the nearest step is set."""

    device: int | str = 0
    center_hz: float = 868.0125e6
    rate_hz: float = 2.4e6
    gain_db: float | None = DEFAULT_GAIN_DB
    ppm: int = 0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: of silence before a dongle counts as stalled, between attempts to bring it back, until giving up."""

    stall_s: float = 2.0
    retry_s: float = 1.0
    give_up_s: float = 60.0


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


def _explained(device: int | str, error: OSError) -> Failed:
    status = error.errno if isinstance(error.errno, int) else 0
    return Failed(f"dongle {device}: {_ANSWERS.get(status, str(error))} (librtlsdr answers {status})")


def _check(settings: DongleSettings) -> None:
    if not any(low <= settings.rate_hz <= high for low, high in RATES_HZ):
        raise BadInput(
            f"an RTL2832U samples at 225001 to 300000 or 900001 to 3200000 Hz, got {settings.rate_hz:g}: "
            "2.4e6 is the highest that USB carries without losses"
        )
    if not 24e6 <= settings.center_hz <= 1766e6:
        raise BadInput(f"an R820T tunes to 24 MHz to 1766 MHz, got {settings.center_hz / 1e6:g} MHz")


def open_dongle(settings: DongleSettings) -> tuple[Any, Tuning]:
    """An opened pyrtlsdr.RtlSdr with manual gain and the converter's AGC off, and what it is really set to."""
    _check(settings)
    index = _index_of(settings.device)
    try:
        dongle = _rtlsdr().RtlSdr(index)
    except OSError as error:
        raise _explained(settings.device, error) from None
    try:
        return dongle, _configure(dongle, settings)
    except OSError as error:
        dongle.close()
        raise _explained(settings.device, error) from None


def _configure(dongle: Any, settings: DongleSettings) -> Tuning:
    dongle.sample_rate = settings.rate_hz
    if settings.ppm != dongle.freq_correction:  # librtlsdr answers -2 to the value it has
        dongle.freq_correction = settings.ppm
    dongle.center_freq = settings.center_hz
    # Both automatic gains would move the threshold under the detector's feet.
    dongle.gain = DEFAULT_GAIN_DB if settings.gain_db is None else settings.gain_db
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


class _Reader(threading.Thread):
    """Runs librtlsdr's loop until it is cancelled or ends by itself, then closes the dongle.

    Closing frees what cancelling needs, and pyrtlsdr closes by itself after an error: a lock keeps the two apart.
    """

    def __init__(self, dongle: Any, queue: SampleQueue) -> None:
        super().__init__(name="rtlsdr", daemon=True)
        self.dongle, self.queue = dongle, queue
        self.ended = ""  # why the loop ended
        self._lock = threading.RLock()
        self._close_dongle = dongle.close
        dongle.close = self._close

    def run(self) -> None:
        try:
            # The values stand in librtlsdr's buffer, which it fills anew after the callback: bytes() copies them.
            self.dongle.read_bytes_async(lambda values, _: self.queue.push(bytes(values)), TRANSFER_BYTES)
            self.ended = "the stream ended by itself: was it unplugged?"
        except OSError as error:
            status = error.errno if isinstance(error.errno, int) else 0
            self.ended = f"{_ANSWERS.get(status, str(error))} (librtlsdr answers {status})"
        finally:
            self._close()

    def _close(self) -> None:
        with self._lock:
            self._close_dongle()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Cancel the loop and wait; whether it has ended."""
        deadline_s = time.monotonic() + timeout_s
        while self.is_alive() and time.monotonic() < deadline_s:
            with self._lock:
                if self.dongle.device_opened:
                    # pyrtlsdr's own cancel closes the dongle when the loop has not begun yet, under its feet.
                    _rtlsdr().librtlsdr.rtlsdr_cancel_async(self.dongle.dev_p)
            self.join(0.02)
        return not self.is_alive()


class RtlSdrSource(SourceContext):
    """A dongle as a source of IQ.

    Opening raises BadInput (no such index, serial, rate) or Failed (absent, busy, unplugged). Later troubles are mended
    by restarting, `health` being `stale` meanwhile; `blocks` raises Failed once that did not help for `give_up_s`.
    """

    def __init__(
        self,
        settings: DongleSettings,
        *,
        queue_s: float = 1.0,
        patience: Patience | None = None,
        on_health: OnHealth | None = None,
    ) -> None:
        self.settings = settings
        self.patience = patience or Patience()
        self._log = HealthLog(on_health)
        self._closing = threading.Event()
        dongle, self._tuning = open_dongle(settings)
        self._queue = SampleQueue(self._tuning.rate_hz, int(2 * queue_s * self._tuning.rate_hz))
        self._reader = self._start(dongle)

    @property
    def name(self) -> str:
        """`rtlsdr:` and the index or serial it was opened by."""
        return f"rtlsdr:{self.settings.device}"

    @property
    def tuning(self) -> Tuning:
        """What the dongle is really set to."""
        return self._tuning

    @property
    def health(self) -> Health:
        """State and counters at this moment."""
        self._log.count(self._queue.lost_samples, self._queue.overrun_samples)
        return self._log.present

    def blocks(self) -> Iterator[IqBlock]:
        """Deliveries as they come, until closed."""
        while not self._closing.is_set():
            chunk = self._queue.pull(min(0.1, self.patience.stall_s / 4))
            if chunk is not None:
                self._log.turn("running")
                yield IqBlock(chunk.samples, chunk.first_sample, chunk.time_s, chunk.lost_samples)
                continue
            trouble = self._trouble()
            if trouble and not self._closing.is_set():
                self._log.turn("stale", trouble)
                self._restart(trouble)

    def _trouble(self) -> str:
        if not self._reader.is_alive():
            return self._reader.ended
        silent_s = time.monotonic() - self._queue.last_arrival_s
        return f"no samples for {silent_s:.1f} s" if silent_s >= self.patience.stall_s else ""

    def _start(self, dongle: Any) -> _Reader:
        self._queue.last_arrival_s = time.monotonic()
        reader = _Reader(dongle, self._queue)
        reader.start()
        return reader

    def _restart(self, trouble: str) -> None:
        deadline_s = time.monotonic() + self.patience.give_up_s
        if not self._reader.stop():
            self._give_up(f"{trouble}, and librtlsdr hangs: unplug the dongle and start again")
        while not self._closing.is_set():
            try:
                dongle, _ = open_dongle(self.settings)
            except AirshedError as error:
                if time.monotonic() >= deadline_s:
                    self._give_up(f"{trouble}; {error}")
                self._closing.wait(self.patience.retry_s)
                continue
            self._queue.clock.resume()
            self._reader = self._start(dongle)
            if self._closing.is_set():  # closed while it was opened again
                self._reader.stop()
            return

    def _give_up(self, reason: str) -> None:
        self._log.turn("failed", reason)
        raise Failed(f"dongle {self.settings.device} is gone: {reason}")

    def close(self) -> None:
        """Stop the stream and let go of the dongle."""
        self._closing.set()
        self._queue.close()
        self._reader.stop()
        self._log.turn("closed")
