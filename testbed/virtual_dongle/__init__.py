"""A dongle made of a file or of an rtl_tcp server: builds librtlsdr.c, our own librtlsdr, and writes its settings.

The library is loaded by pyrtlsdr as the real one is, so the whole path from ctypes upwards is exercised without
hardware. What the settings mean stands at the top of librtlsdr.c.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from spectrum.errors import BadInput, Failed

SOURCE: Final = Path(__file__).with_name("librtlsdr.c")
SETTINGS_VARIABLE: Final = "AIRSHED_VIRTUAL_DONGLE"
LIBRARY_VARIABLE: Final = "AIRSHED_LIBRTLSDR"

SWITCHES: Final = {"loop", "absent", "busy", "denied"}
KEYS: Final = SWITCHES | {
    "file", "rtl_tcp", "serials", "pace", "limit_bytes", "gain_reference", "log", "stall_after", "unplug_after",
    "unplug_status", "short_every", "lose_every",
}  # fmt: skip


def compiler() -> str | None:
    """The C compiler of this machine, or None."""
    return shutil.which(os.environ.get("CC", "cc"))


def build(folder: Path, *, as_version_0_6: bool = False) -> Path:
    """Compile the library into `folder` and return its path; Failed without a compiler or when it complains.

    as_version_0_6: leave out the functions that Debian 12's librtlsdr lacks.
    """
    cc = compiler()
    if cc is None:
        raise Failed("the virtual dongle is C and needs a compiler: apt-get install gcc libc6-dev, or set CC")
    library = folder / ("librtlsdr-0.6.so" if as_version_0_6 else "librtlsdr.so")
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
    options += ["-DAPI_0_6"] if as_version_0_6 else []
    done = subprocess.run(
        [cc, *options, "-o", str(library), str(SOURCE), "-lm", "-lpthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"{cc} did not compile the virtual dongle: {done.stderr.strip()[:400]}")
    return library


def write_settings(path: Path, **settings: str | int | Path) -> Path:
    """Write the settings file anew, whole or not at all; BadInput for a key the library does not know."""
    unknown = sorted(set(settings) - KEYS)
    if unknown:
        raise BadInput(f"the virtual dongle has no setting {', '.join(unknown)}: it knows {', '.join(sorted(KEYS))}")
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
    fresh.replace(path)
    return path


def environment(library: Path, settings: Path) -> dict[str, str]:
    """The variables that make Airshed's dongle door use this library with these settings."""
    return {LIBRARY_VARIABLE: str(library), SETTINGS_VARIABLE: str(settings)}
