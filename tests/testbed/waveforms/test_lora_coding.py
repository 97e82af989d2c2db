"""LoRa's coding against golden values derived by hand, a public capture of a chip, and the airtime formula."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from spectrum.errors import BadInput
from spectrum.lora import LoraModulation, payload_symbols
from testbed.waveforms.lora_coding import (
    codeword,
    gray_decoded,
    header_nibbles,
    interleaved,
    payload_crc,
    payload_nibbles,
    shift_of,
    symbols_of,
    whitened,
)

# What a chip sent for the bytes 1 to 9 at SF12, 4/8, with CRC and reduced rate: the example that heads LoRaPHY's source
# (jkadbear/LoRaPHY). Its last block ends in three filling nibbles that mean nothing; the chip left there what it had.
CHIP_SENT = """
    2541 1153  673 2397 1189 3509   41 3089
    3237 3917 2729 2765 1417 2833 1389  801
    3197  345  961  745 3101  297 1893  469
"""


def test_symbols_of_a_chip_are_ours_as_far_as_they_hold_data():
    sent = [int(word) for word in CHIP_SENT.split()]
    ours = symbols_of(LoraModulation(12, coding_rate=4), bytes(range(1, 10)))
    assert len(ours) == len(sent)
    assert ours[:16] == sent[:16]  # header, first block of data


def test_an_independent_decoder_reads_what_the_chip_sent(lora_receiver):
    sent = [int(word) for word in CHIP_SENT.split()]
    receiver = lora_receiver.Receiver(12)
    nibbles = [*receiver.block(sent[:8], 8, 10), *receiver.block(sent[8:16], 8, 10), *receiver.block(sent[16:], 8, 10)]
    data = payload_nibbles(bytes(range(1, 10)), crc=True)
    assert nibbles[:5] == header_nibbles(9, 4, True)
    assert nibbles[5 : 5 + len(data)] == data


def test_whitening_begins_as_published_and_undoes_itself():
    assert whitened(bytes(12)).hex() == "fffefcf8f0e1c2850b172f5e"
    payload = np.random.default_rng(1).bytes(255)
    assert whitened(whitened(payload)) == payload
    # A register of 8 bits with this feedback runs through all its 255 states.
    assert len(set(whitened(bytes(255)))) == 255


@pytest.mark.parametrize(
    ("payload", "crc"),
    # 1 to 9: the chip's own BA 2E. Two bytes are added as they are. 01 00 00: x^16 mod the polynomial is 1021.
    [(bytes(range(1, 10)), 0x2EBA), (b"\x12\x34", 0x1234), (b"\x01\x00\x00", 0x1021), (b"\x7f", 0x7F), (b"", 0)],
)
def test_crc_of_the_payload(payload, crc):
    assert payload_crc(payload) == crc


def test_header_by_hand():
    # One byte, 4/5, no CRC: the 12 bits are 0000 0001 0010, b0 and c1 are set.
    # c4 = a3+a2+a1+a0 = 0; c3 = a3+b3+b2+b1+c0 = 0; c2 = a2+b3+b0+c3+c1 = 1+1 = 0; c1 = a1+b2+b0+c2+c1+c0 = 1+1 = 0;
    # c0 = a0+b1+c3+c2+c1+c0 = 1.
    assert header_nibbles(1, 1, False) == [0x0, 0x1, 0x2, 0x0, 0x1]


def test_code_words_by_hand():
    # 1: data bit d0 alone. p0 = d0+d1+d2 = 1, p1 = d1+d2+d3 = 0, p2 = d0+d1+d3 = 1, p3 = d0+d2+d3 = 1.
    assert codeword(0b0001, 4) == 0b1000_1011
    # 2: d1 alone is in p0, p1, p2.
    assert [codeword(0b0010, rate) for rate in (2, 3, 4)] == [0b0100_11, 0b0100_111, 0b0100_1110]
    # 4/5 has the parity of all four: of 0111 it is 1, of 0011 it is 0. Data go out the least significant bit first.
    assert codeword(0b0111, 1) == 0b1110_1
    assert codeword(0b0011, 1) == 0b1100_0


@pytest.mark.parametrize(("rate", "distance"), [(1, 2), (2, 2), (3, 3), (4, 4)])
def test_code_words_differ_as_much_as_the_code_can(rate, distance):
    words = [codeword(nibble, rate) for nibble in range(16)]
    assert min((a ^ b).bit_count() for a in words for b in words if a != b) == distance


def test_interleaver_by_hand():
    # Five words of eight bits; only word 1 has bits: 1000 1011. Bit j of symbol i is bit i of word (i - j - 1) mod 5,
    # so word 1 stands at j = (i - 2) mod 5: i = 0 -> j 3, i = 4 -> j 2, i = 6 -> j 4, i = 7 -> j 0.
    symbols = interleaved([0, 0b1000_1011, 0, 0, 0], 4)
    assert symbols == [0b00010, 0, 0, 0, 0b00100, 0, 0b00001, 0b10000]


def test_symbols_by_hand():
    # SF7, one byte FF, 4/5, no CRC. Whitened it is 00, so all data symbols are 0 and shifted by 1. The header's nibbles
    # 0 1 2 0 1 have the words 0, 8B, 4E, 0, 8B. Symbol 0 takes bit 0 of words 4 3 2 1 0: 1 0 0 1 0 = 18, which is the
    # Gray code of 28; 4 x 28 + 1 = 113. Symbol 1, bit 1 of words 0 4 3 2 1: 0 0 0 1 0 = 2, Gray of 3: 13. Symbol 2, bit
    # 2 of 1 0 4 3 2: 0, so 1. Symbol 3 likewise. Symbol 4, bit 4 of 3 2 1 0 4: 0 1 1 0 1 = 13, Gray of 9: 37. Symbol 5,
    # bit 5 of 4 3 2 1 0: 0 0 1 0 0 = 4, Gray of 7: 29. Symbol 6, bit 6 of 0 4 3 2 1: 0 1 0 1 1 = 11, Gray of 13: 53.
    # Symbol 7, bit 7 of 1 0 4 3 2: 1 0 1 0 0 = 20, Gray of 24: 97.
    assert symbols_of(LoraModulation(7, crc=False), b"\xff") == [113, 13, 1, 1, 37, 29, 53, 97] + [1] * 5


def test_gray_code_turns_neighbours_into_one_bit():
    words = sorted(range(128), key=gray_decoded)
    assert [gray_decoded(word) for word in words] == list(range(128))
    assert all((a ^ b).bit_count() == 1 for a, b in pairwise(words))
    assert shift_of(words[-1], 7, False) == 0  # 127 + 1 wraps
    assert shift_of(0, 7, True) == 1


@pytest.mark.parametrize("factor", range(7, 13))
@pytest.mark.parametrize("rate", [1, 2, 3, 4])
def test_as_many_symbols_as_the_datasheet_says(factor, rate):
    for size in (0, 1, 2, 3, 12, 51, 222, 255):
        for explicit, crc in ((True, True), (True, False), (False, True)):
            modulation = LoraModulation(factor, coding_rate=rate, explicit_header=explicit, crc=crc)
            symbols = symbols_of(modulation, bytes(size))
            assert len(symbols) == payload_symbols(modulation, size)
            assert all(0 <= symbol < 2**factor for symbol in symbols)


def test_a_payload_of_256_bytes_is_refused():
    with pytest.raises(BadInput, match="at most 255 bytes, got 256"):
        symbols_of(LoraModulation(7), bytes(256))
