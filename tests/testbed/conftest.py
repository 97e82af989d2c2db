"""A LoRa receiver of the tests' own: dechirp, FFT, synchronise, de-interleave, decode; no code of testbed in it."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import resample_poly

OVERSAMPLING = 2
PADDING = 4

# Generator of the (8, 4) code, one row for each data bit from the least significant on: data, then p0 to p3.
GENERATOR = np.array(
    [[1, 0, 0, 0, 1, 0, 1, 1], [0, 1, 0, 0, 1, 1, 1, 0], [0, 0, 1, 0, 1, 1, 0, 1], [0, 0, 0, 1, 0, 1, 1, 1]]
)


@dataclass
class Frame:
    payload: bytes
    crc_ok: bool | None
    coding_rate: int
    sync_word: int
    offset_hz: float
    start_s: float
    symbols: list[int]


def to_channel(iq, rate_hz, offset_hz, bandwidth_hz):
    """The channel at offset_hz, centred, at OVERSAMPLING times its bandwidth."""
    moved = iq * np.exp(-2j * np.pi * offset_hz / rate_hz * np.arange(iq.size))
    common = np.gcd(round(rate_hz), round(OVERSAMPLING * bandwidth_hz))
    return resample_poly(moved, round(OVERSAMPLING * bandwidth_hz) // common, round(rate_hz) // common)


def up_chirp(factor):
    chips = 2**factor
    t = np.arange(chips * OVERSAMPLING) / OVERSAMPLING
    return np.exp(2j * np.pi * (t * t / (2 * chips) - t / 2))


class Receiver:
    def __init__(self, factor, bandwidth_hz=125e3):
        self.factor, self.chips, self.bandwidth_hz = factor, 2**factor, bandwidth_hz
        self.width = self.chips * OVERSAMPLING
        self.up = up_chirp(factor)
        self.reduced = self.chips / bandwidth_hz > 16e-3

    def peak(self, x, at, down=False):
        """Chips (fractional, 0 to chips) and height of the strongest tone after dechirping the symbol at `at`."""
        at = round(at)
        if at < 0 or at + self.width > x.size:
            return 0.0, 0.0
        spectrum = np.abs(
            np.fft.fft(x[at : at + self.width] * (self.up if down else self.up.conj()), self.width * PADDING)
        )
        folded = spectrum[: self.chips * PADDING] + spectrum[-self.chips * PADDING :]
        k = int(folded.argmax())
        left, middle, right = folded[k - 1], folded[k], folded[(k + 1) % folded.size]
        return ((k + 0.5 * (left - right) / (left - 2 * middle + right)) / PADDING) % self.chips, float(middle)

    def centred(self, chips):
        return (chips + self.chips / 2) % self.chips - self.chips / 2

    def receive(self, x):
        """All frames of a channel at OVERSAMPLING times the bandwidth."""
        frames, at = [], 0
        while at + 14 * self.width < x.size:
            tones = [self.peak(x, at + i * self.width)[0] for i in range(5)]
            if max(abs(self.centred(tone - tones[0])) for tone in tones) > 0.6:
                at += self.width
                continue
            found = self._frame_at(x, at - tones[0] * OVERSAMPLING)
            if found is None:
                at += self.width
            else:
                frames.append(found)
                at = round(
                    (found.start_s * self.bandwidth_hz * OVERSAMPLING) + (12.25 + len(found.symbols)) * self.width
                )
        return frames

    def _frame_at(self, x, aligned):
        """`aligned`: where the up-chirps come out as 0; early or late by the frequency offset."""
        heights = [
            self.peak(x, aligned + i * self.width, down=True)[1] - self.peak(x, aligned + i * self.width)[1]
            for i in range(14)
        ]
        best = int(np.argmax(heights))
        for guess in (best, best - 1, best + 1):
            twice = self.centred(self.peak(x, aligned + guess * self.width, down=True)[0])
            frame = self._decode_at(x, aligned + guess * self.width + twice / 2 * OVERSAMPLING, twice / 2)
            if frame is not None:
                return frame
        return None

    def _decode_at(self, x, delimiter, offset_chips):
        """Decode with the delimiter at a sample and a frequency offset in chips; None when it is no frame."""
        n = np.arange(x.size)
        straight = x * np.exp(-2j * np.pi * offset_chips / self.width * n)
        sync = [self.peak(straight, delimiter - back * self.width)[0] / 8 for back in (2, 1)]
        if max(abs(half - round(half)) for half in sync) > 0.1:
            return None
        self.drift, self.straight, self.data = 0.0, straight, delimiter + 2.25 * self.width
        first = self._symbols(0, 8, True)
        nibbles = self.block(first, 8, self.factor - 2)
        length, flags = nibbles[0] * 16 + nibbles[1], nibbles[2]
        if nibbles[3] * 16 + nibbles[4] != self._checksum(nibbles[:3]):
            return None
        rate, crc, rows = flags >> 1, flags & 1, self.factor - 2 * self.reduced
        symbols, nibbles = list(first), nibbles[5:]
        while len(nibbles) < 2 * length + 4 * crc:
            block = self._symbols(len(symbols), rate + 4, self.reduced)
            symbols += block
            nibbles += self.block(block, rate + 4, rows, self.reduced)
        data = bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=False))
        payload = bytes(a ^ b for a, b in zip(data[:length], self._sequence(length), strict=True))
        ok = data[length : length + 2] == self._crc(payload) if crc else None
        start = (delimiter - 10 * self.width) / OVERSAMPLING / self.bandwidth_hz
        word = round(sync[0]) << 4 | round(sync[1])
        return Frame(payload, ok, rate, word, offset_chips * self.bandwidth_hz / self.chips, start, symbols)

    def _symbols(self, number, count, reduced):
        """Symbols read one after another; a slow drift of the tones (sampling clock) is followed."""
        out = []
        for i in range(number, number + count):
            tone = self.peak(self.straight, self.data + i * self.width)[0] - self.drift
            step = 4 if reduced else 1
            value = (round((tone - 1) / step) * step + 1) % self.chips
            self.drift += 0.3 * self.centred(tone - value)
            out.append(value)
        return out

    def block(self, symbols, length, rows, reduced=True):
        """Nibbles of one interleaved block of `length` symbols."""
        bits = np.zeros((rows, length), dtype=int)
        for i, symbol in enumerate(symbols):
            value = (symbol - 1) % self.chips // (4 if reduced else 1)
            gray = value ^ value >> 1
            for j in range(rows):  # from the least significant bit on, the words follow each other upwards
                bits[(i + j) % rows, i] = gray >> j & 1
        return [self._nibble(word, length) for word in bits]

    @staticmethod
    def _nibble(word, length):
        words = (np.array([[n >> i & 1 for i in range(4)] for n in range(16)]) @ GENERATOR) % 2
        if length == 5:
            words = np.column_stack([words[:, :4], words[:, :4].sum(axis=1) % 2])
        return int(np.abs(words[:, :length] - word).sum(axis=1).argmin())

    @staticmethod
    def _checksum(nibbles):
        """The five sums written out, bits a (first nibble), b, c from the most significant on."""
        (a3, a2, a1, a0), (b3, b2, b1, b0), (c3, c2, c1, c0) = [[n >> i & 1 for i in (3, 2, 1, 0)] for n in nibbles]
        sums = [
            a3 + a2 + a1 + a0,
            a3 + b3 + b2 + b1 + c0,
            a2 + b3 + b0 + c3 + c1,
            a1 + b2 + b0 + c2 + c1 + c0,
            a0 + b1 + c3 + c2 + c1 + c0,
        ]
        return int("".join(str(total % 2) for total in sums), 2)

    @staticmethod
    def _sequence(count):
        """Whitening bytes as windows of one bit stream: eight ones, then b[n] = b[n-8] + b[n-6] + b[n-5] + b[n-4]."""
        stream = [1] * 8
        while len(stream) < count + 8:
            stream.append((stream[-8] + stream[-6] + stream[-5] + stream[-4]) % 2)
        return [int("".join(map(str, stream[i : i + 8])), 2) for i in range(count)]

    @staticmethod
    def _crc(payload):
        """Remainder by long division in integers, then the last two bytes added; low byte first."""
        number = int.from_bytes(payload[:-2]) << 16
        for bit in range(number.bit_length() - 1, 15, -1):
            if number >> bit & 1:
                number ^= 0x11021 << bit - 16
        return (number ^ int.from_bytes(payload[-2:])).to_bytes(2, "little")


@pytest.fixture
def lora_receiver():
    """to_channel(iq, rate_hz, offset_hz, bandwidth_hz) and Receiver(spreading_factor, bandwidth_hz)."""
    return SimpleNamespace(to_channel=to_channel, Receiver=Receiver)
