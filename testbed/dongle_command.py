"""`airshed testbed dongle`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("dongle")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rtl-tcp", "server", metavar="HOST:PORT", help="Play what this rtl_tcp server sends, in place of FILE.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("virtual-dongle"),
              show_default=True, help="Where the library and the settings file are written.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="A setting of the dongle, e.g. serials=roof or stall_after=1000000; may be repeated.")  # fmt: skip
def dongle(file: Path | None, server: str | None, folder: Path, settings: tuple[str, ...]) -> None:
    """Build a virtual RTL-SDR dongle that plays FILE (cu8) or a server, and print how to use it.

    It is a librtlsdr of our own, so pyrtlsdr and what stands on it take the way they take with hardware. The settings
    file can be edited while a program runs, to unplug or stall the dongle; testbed/virtual_dongle/librtlsdr.c lists the
    keys. Needs a C compiler.

    \b
    eval "$(airshed testbed dongle recording.cu8 --set loop=1)"
    airshed check --sensor rtlsdr
    \b
    airshed testbed rtl-tcp --scene hardware/scenes/quiet.toml &
    eval "$(airshed testbed dongle --rtl-tcp 127.0.0.1:1234)"
    airshed sense rtlsdr:0 --seconds 5
    """
    import shlex

    from spectrum.errors import BadInput
    from testbed.virtual_dongle import build, environment, write_settings

    if (file is None) == (server is None):
        raise BadInput("expected a FILE or --rtl-tcp, " + ("got neither" if file is None else "got both"))
    pairs = [setting.partition("=") for setting in settings]
    if wrong := [setting for setting, (_, equals, _) in zip(settings, pairs, strict=True) if not equals]:
        raise BadInput(f"expected KEY=VALUE after --set, got {wrong[0]!r}")
    folder.mkdir(parents=True, exist_ok=True)
    played: dict[str, str | Path] = {"rtl_tcp": server} if server is not None else {}
    if file is not None:
        played["file"] = file.absolute()
    chosen: dict[str, str | int | Path] = {**played, **{key: value for key, _, value in pairs}}
    path = write_settings(folder.absolute() / "dongle.conf", **chosen)
    for name, value in environment(build(folder.absolute()), path).items():
        click.echo(f"export {name}={shlex.quote(value)}")
