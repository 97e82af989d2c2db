"""SigMF recordings: where the samples lie, what they are, and how the receiver was set (door to the sigmf library).

The library checks the metadata; the samples are read by us, with 127.5 steps of full scale for cu8 where the library's
own reader takes 128 (0.034 dB, see sensing.source).
"""

from __future__ import annotations

import json
import tarfile
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from spectrum.errors import BadInput

SIGMF_ENDINGS: Final = (".sigmf-meta", ".sigmf-data", ".sigmf")

# core:datatype of complex recordings -> name in sensing.formats.
_DATATYPES: Final = {
    "cu8": "cu8",
    "ci8": "cs8",
    "ci16_le": "cs16",
    "ci16_be": "cs16be",
    "ci32_le": "cs32",
    "cf32_le": "cf32",
    "cf32_be": "cf32be",
    "cf64_le": "cf64",
}


@dataclass(frozen=True, slots=True)
class SigmfHeader:
    """What the metadata says, and where the samples lie: `length_bytes` of `data_path` from `start_byte`.

    length_bytes is None where they go on to the end of the file.
    """

    data_path: Path
    format_name: str
    rate_hz: float | None
    center_hz: float | None
    start_byte: int
    length_bytes: int | None


def read_sigmf_header(path: Path) -> SigmfHeader:
    """Header of a recording named by its .sigmf-meta, .sigmf-data or .sigmf file; BadInput where it is not usable."""
    if path.suffix == ".sigmf":
        return _read_archive(path)
    meta_path = path.with_suffix(".sigmf-meta")
    if not meta_path.is_file():
        raise BadInput(f"{path}: its metadata {meta_path.name} is not beside it")
    metadata = _checked(meta_path, meta_path.read_bytes())
    info = metadata["global"]
    data_path = meta_path.with_name(info.get("core:dataset", meta_path.with_suffix(".sigmf-data").name))
    if not data_path.is_file():
        raise BadInput(f"{meta_path}: its samples {data_path.name} are not beside it")
    trailing = int(info.get("core:trailing_bytes", 0))
    return _header(meta_path, metadata, data_path, 0, data_path.stat().st_size - trailing if trailing else None)


def _read_archive(path: Path) -> SigmfHeader:
    """An archive is a tar file: the samples lie in it as they are and need no unpacking."""
    try:
        with tarfile.open(path, "r:") as archive:
            members = {PurePath(member.name).suffix: member for member in archive if member.isfile()}
            meta, data = members.get(".sigmf-meta"), members.get(".sigmf-data")
            text = archive.extractfile(meta) if meta is not None else None
            if text is None or data is None:
                raise BadInput(f"{path}: expected a .sigmf-meta and a .sigmf-data in the archive")
            metadata = _checked(path, text.read())
    except tarfile.TarError as error:
        raise BadInput(f"{path} is no SigMF archive (an uncompressed tar file): {error}") from None
    return _header(path, metadata, path, data.offset_data, data.size)


def _header(path: Path, metadata: dict[str, Any], data_path: Path, start: int, length: int | None) -> SigmfHeader:
    info, captures = metadata["global"], metadata.get("captures") or [{}]
    centers_hz = sorted({float(capture["core:frequency"]) for capture in captures if "core:frequency" in capture})
    if len(centers_hz) > 1:
        raise BadInput(f"{path} was retuned while it was recorded ({centers_hz} Hz): cut it into pieces")
    datatype = info["core:datatype"]
    if datatype not in _DATATYPES:
        raise BadInput(f"{path}: core:datatype is {datatype!r}, expected one of {', '.join(_DATATYPES)}")
    if info.get("core:num_channels", 1) != 1:
        raise BadInput(f"{path} holds {info['core:num_channels']} channels, expected one")
    header_bytes = int(captures[0].get("core:header_bytes", 0))
    rate_hz = info.get("core:sample_rate")
    return SigmfHeader(
        data_path,
        _DATATYPES[datatype],
        None if rate_hz is None else float(rate_hz),
        centers_hz[0] if centers_hz else None,
        start + header_bytes,
        None if length is None else length - header_bytes,
    )


def _checked(path: Path, text: bytes) -> dict[str, Any]:
    """Metadata that keeps to the standard's schema."""
    from jsonschema.exceptions import ValidationError
    from sigmf.validate import validate

    try:
        metadata: dict[str, Any] = json.loads(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of extensions that others forgot to declare
            validate(metadata)
    except ValidationError as error:
        raise BadInput(f"{path} breaks the SigMF standard: {error.message}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no SigMF metadata: {error}") from None
    return metadata


def sigmf_text(info: dict[str, Any], captures: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> str:
    """The text of a .sigmf-meta file, checked against the standard's schema."""
    import sigmf
    from sigmf.validate import validate

    metadata = {
        "global": {"core:version": sigmf.__specification__, **info},
        "captures": captures,
        "annotations": annotations,
    }
    validate(metadata)
    return json.dumps(metadata, indent=2) + "\n"
