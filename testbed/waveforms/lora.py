"""LoRa frames as chirps: preamble, sync word, delimiter and symbols (Semtech AN1200.22; coding in lora_coding).

A symbol shifted by s chips starts at frequency s BW / 2^SF - BW/2, rises by BW / T and wraps from BW/2 to -BW/2 when
2^SF - s chips have gone by. Its phase starts at 0 and comes back to a whole number of turns, so that it is continuous.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from spectrum.errors import BadInput
from spectrum.lora import LoraModulation
from testbed.waveforms.lora_coding import symbols_of
from testbed.waveforms.pieces import Piece, Waveform, waveform_of

PUBLIC_SYNC_WORD: Final = 0x34  # LoRaWAN; private networks have 0x12 (SX1276 datasheet, RegSyncWord)
SYNC_SHIFT_BITS: Final = 3  # each half of the sync word is a shift of eight times its value
DELIMITER_SYMBOLS: Final = (1.0, 1.0, 0.25)  # of down-chirps


def sync_shifts(sync_word: int) -> tuple[int, int]:
    """Shifts in chips of the two symbols of the sync word: 24 and 32 for 0x34."""
    if not 0 <= sync_word <= 0xFF:
        raise BadInput(f"a LoRa sync word is 0 to 255, got {sync_word}")
    return (sync_word >> 4) << SYNC_SHIFT_BITS, (sync_word & 0xF) << SYNC_SHIFT_BITS


def _chirp(begins_s: float, shift: int, modulation: LoraModulation) -> Iterator[Piece]:
    """One up-chirp: before and after it wraps."""
    bandwidth_hz, symbol_s = modulation.bandwidth_hz, modulation.symbol_s
    slope_hz_s = bandwidth_hz / symbol_s
    start_hz = shift / symbol_s - bandwidth_hz / 2.0
    wraps_s = symbol_s - shift / bandwidth_hz
    before = Piece(begins_s, begins_s + wraps_s, 0.0, start_hz, slope_hz_s)
    yield before
    if shift:
        phase = (start_hz + slope_hz_s * wraps_s / 2.0) * wraps_s % 1.0
        yield Piece(begins_s + wraps_s, begins_s + symbol_s, phase, -bandwidth_hz / 2.0, slope_hz_s)


def _delimiter(begins_s: float, modulation: LoraModulation) -> Iterator[Piece]:
    for symbols in DELIMITER_SYMBOLS:
        ends_s = begins_s + symbols * modulation.symbol_s
        slope_hz_s = -modulation.bandwidth_hz / modulation.symbol_s
        yield Piece(begins_s, ends_s, 0.0, modulation.bandwidth_hz / 2.0, slope_hz_s)
        begins_s = ends_s


def _pieces(modulation: LoraModulation, payload: bytes, sync_word: int) -> Iterator[Piece]:
    symbol_s = modulation.symbol_s
    if modulation.preamble_symbols != int(modulation.preamble_symbols):
        raise BadInput(f"a preamble on the air has whole symbols, got {modulation.preamble_symbols:g}")
    opening = [0] * int(modulation.preamble_symbols) + [*sync_shifts(sync_word)]
    for number, shift in enumerate(opening):
        yield from _chirp(number * symbol_s, shift, modulation)
    yield from _delimiter(len(opening) * symbol_s, modulation)
    data_s = (len(opening) + sum(DELIMITER_SYMBOLS)) * symbol_s
    for number, shift in enumerate(symbols_of(modulation, payload)):
        yield from _chirp(data_s + number * symbol_s, shift, modulation)


@lru_cache(maxsize=256)
def lora_waveform(
    modulation: LoraModulation, payload: bytes, *, sync_word: int = PUBLIC_SYNC_WORD, inverted: bool = False
) -> Waveform:
    """The whole frame. payload: of the PHY. inverted: all chirps mirrored, as gateways send (LoRaWAN 1.0.4, IQ
    inversion); its duration is `spectrum.lora.airtime_s` of the same modulation.
    """
    frame = waveform_of(_pieces(modulation, payload, sync_word))
    if not inverted:
        return frame
    return Waveform(
        frame.begins_s, frame.ends_s, -frame.phase_turns, -frame.frequency_hz, -frame.slope_hz_s, frame.amplitude
    )
