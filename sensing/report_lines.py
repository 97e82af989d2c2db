"""Channel reports as `airshed sense --json` prints them: one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from spectrum.errors import BadInput
from spectrum.report import ChannelReport

_DECODER = msgspec.json.Decoder(ChannelReport, strict=False)


def parse_reports(lines: Iterable[str | bytes], place: str) -> Iterator[ChannelReport]:
    """Reports of lines of JSON; empty lines are passed over. BadInput names `place` and the line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _DECODER.decode(line)
        except msgspec.MsgspecError as error:
            raise BadInput(
                f"{place}, line {number}: expected a channel report as airshed sense --json prints it, got {error}"
            ) from None


def read_reports(paths: Iterable[str]) -> Iterator[ChannelReport]:
    """Reports of files in the given order; `-` is standard input."""
    import sys

    for path in paths:
        if path == "-":
            yield from parse_reports(sys.stdin, "standard input")
            continue
        try:
            with Path(path).open(encoding="utf-8") as lines:
                yield from parse_reports(lines, path)
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} cannot be read as lines of JSON: {error}") from None
