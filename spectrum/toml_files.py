"""TOML files decoded into frozen tables: an unknown key, a wrong type, a value out of range is one line of BadInput."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from spectrum.errors import BadInput

Value = TypeVar("Value")


def decode_toml(text: str, kind: type[Value], file_name: str) -> Value:
    """The value of type `kind` in `text`; `file_name` is for the messages of BadInput."""
    try:
        return msgspec.toml.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"{file_name}: {_readable(str(error))}") from None
    except msgspec.DecodeError as error:
        raise BadInput(f"{file_name}: not a TOML file: {error}") from None


def read_text(path: Path | str, what: str, example: str) -> str:
    """A file's text; BadInput when it is missing or unreadable, `what` it should be and an `example` to start from."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"no {what} file {path}: see {example} for one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as text: {error}") from None


def _readable(message: str) -> str:
    """msgspec's message with its path written as a person would: `$.sensor[0].rate_hz` becomes `sensor[0].rate_hz`."""
    return (
        message.replace("Object contains unknown field", "unknown key").replace(" - at `$.", " in `").replace("$.", "")
    )
