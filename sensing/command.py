"""`airshed sense`: a source -> channel reports on stdout, or to the database of a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from spectrum.errors import BadInput
from terminal.command import json_option, seed_option

if TYPE_CHECKING:
    from sensing.session import Record, SenseOptions

# The same names as in the tables of sensing.laws, sensing.floor and sensing.scenes, which are too heavy to import for
# a --help; a test holds them together.
LAWS: Final = ("exact", "exact-noiselike", "gaussian", "gaussian-noiselike")
RULES: Final = ("constant-pf", "constant-pd", "midpoint")
FLOORS: Final = ("hybrid", "fcme", "median", "minimum")
SCENES: Final = ("noise", "busy", "sigfox")

EPILOG: Final = """\b
Examples:
  airshed sense wmbus_c_868.625M_2400k.cu8          one row a subchannel, and the bursts
  airshed sense capture.sigmf-meta --json           one object a subchannel and interval
  airshed sense --synthetic noise --seconds 60 --pf 0.1 --json
  airshed sense rtlsdr:0 --center 868.0125e6 --lorawan --sigfox
  airshed sense rtlsdr:0 --record captures --limit-bytes 500000000
  airshed sense rtl_power:sweeps.csv --lorawan      power sweeps instead of IQ
  airshed sense rtlsdr:0 --calibrate --level-dbm -60 --carrier 868.3e6 --calibration dongle.toml
"""


@click.command(epilog=EPILOG)
@click.argument("source", required=False)
@click.option("--synthetic", metavar="SCENE", type=click.Choice(SCENES), help=f"A made-up source: {', '.join(SCENES)}.")
@click.option("--site", metavar="SITE.toml", help="Run the sensor of this site; reports go to the site's database.")
@click.option("--sensor", metavar="NAME", help="Which of the site's sensors; without --site, the name in the reports.")
@click.option("--rate", "rate_hz", type=float, metavar="HZ", help="Samples a second, where the source does not tell.")
@click.option(
    "--center", "center_hz", type=float, metavar="HZ", help="Tuned frequency, where the source does not tell."
)
@click.option("--format", "format_name", metavar="NAME", help="cu8, cs8, cs16, cf32, ... of a raw recording.")
@click.option("--gain", "gain_db", type=float, metavar="DB", help="Tuner gain; reports carry the one really set.")
@click.option("--loop", is_flag=True, help="Play a recording again and again.")
@click.option("--follow", is_flag=True, help="Wait at the end of a recording for more (it is still being written).")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so many seconds of samples.")
@click.option(
    "--interval",
    "interval_ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Sensing interval; 10 ms, and 1 ms for a recording under 10 s.",
)
@click.option(
    "--subchannel", "centers_hz", type=float, multiple=True, metavar="HZ", help="Sense 125 kHz here (repeat)."
)
@click.option("--lorawan", is_flag=True, help="Sense the LoRaWAN channels in the captured band, not the raster.")
@click.option("--sigfox", is_flag=True, help="Sense the SigFox uplink band in 1 kHz steps, too.")
@click.option("--pf", type=float, default=0.2, show_default=True, help="Largest tolerated false-alarm probability.")
@click.option(
    "--pm", type=float, default=0.1, show_default=True, help="Largest tolerated missed-detection probability."
)
@click.option("--law", type=click.Choice(LAWS), default=LAWS[0], show_default=True, help="Law of Pf and Pm.")
@click.option("--rule", type=click.Choice(RULES), default=RULES[0], show_default=True, help="What the threshold keeps.")
@click.option(
    "--snr", "snr_db", type=float, metavar="DB", help="Weakest signal to hear; default: what the pair allows."
)
@click.option(
    "--uncertainty", "uncertainty_db", type=float, default=0.0, metavar="DB", help="How far the noise may be off."
)
@click.option("--floor", type=click.Choice(FLOORS), default=FLOORS[0], show_default=True, help="Noise floor policy.")
@click.option(
    "--memory", "memory_s", type=float, default=60.0, show_default=True, help="Seconds that Pr(H1) remembers."
)
@click.option("--bursts", is_flag=True, help="List bursts instead of every cell.")
@click.option("--calibration", type=click.Path(dir_okay=False), metavar="FILE", help="This dongle's calibration file.")
@click.option("--calibrate", is_flag=True, help="Measure --level-dbm or --carrier, and keep it in --calibration.")
@click.option("--level-dbm", type=float, metavar="DBM", help="Known level at the antenna socket, for --calibrate.")
@click.option(
    "--carrier", "carrier_hz", type=float, metavar="HZ", help="Known frequency of a carrier, for --calibrate."
)
@click.option("--record", "record_folder", type=click.Path(file_okay=False), metavar="DIR",
              help="Keep the samples as SigMF with busy intervals annotated; needs --limit-bytes.")  # fmt: skip
@click.option("--limit-bytes", type=click.IntRange(min=2), metavar="N", help="Record at most so much, then stop.")
@click.option("--rssi-offset", "rssi_offset_dbm", type=float, metavar="DBM",
              help="The board's RSSI offset, for dBm from sx1302:LOG.")  # fmt: skip
@seed_option
@json_option
def sense(source: str | None, as_json: bool, site: str | None, sensor: str | None, seed: int, **options: Any) -> None:
    """Sense a SOURCE: energy, noise, busy or idle, and how often that is wrong, for each subchannel and interval.

    SOURCE is a recording (cu8, cs8, cs16, cf32, two-channel WAV, SigMF), rtlsdr:INDEX-OR-SERIAL,
    rtl_tcp://HOST:PORT, rtl_power:SWEEPS.csv, or sx1302:LOG with SPECTRAL SCAN lines (- for stdin).
    A recording's rate and centre come from its header, from the options, or from its name
    (capture_868.625M_2400k.cu8). Levels are in dBFS, relative to a sinusoid at full scale, unless a calibration turns
    them into dBm.
    """
    if site is not None:
        if source is not None or options["synthetic"] is not None:
            raise BadInput("--site names its own source: give either a SOURCE or --site")
        from sensing.site_command import sense_site

        sense_site(site, sensor, seed, as_json=as_json)
        return
    chosen = _options(source, sensor or "sensor", seed, options)
    from sensing import command_runs, sweep_runs
    from sensing.sweep_kinds import is_sweep

    if is_sweep(chosen.wanted.place):
        sweep_runs.run(chosen, options["rssi_offset_dbm"], as_json=as_json)
    elif options["calibrate"]:
        command_runs.calibrate(
            chosen, options["calibration"], options["level_dbm"], options["carrier_hz"], as_json=as_json
        )
    elif options["bursts"]:
        command_runs.list_bursts(chosen, as_json=as_json)
    elif as_json:
        command_runs.print_json(chosen)
    else:
        command_runs.show_table(chosen)


def _options(source: str | None, name: str, seed: int, options: dict[str, Any]) -> SenseOptions:
    """The options of the command line as values; BadInput where they do not fit together."""
    if (source is None) == (options["synthetic"] is None):
        raise BadInput("give one source: a file, rtlsdr:0, rtl_tcp://HOST:PORT, or --synthetic SCENE (or --site)")
    if options["lorawan"] and options["centers_hz"]:
        raise BadInput("give either --lorawan or --subchannel")
    if not options["calibrate"] and (options["level_dbm"], options["carrier_hz"]) != (None, None):
        raise BadInput("--level-dbm and --carrier go with --calibrate")
    from sensing.calibration import read_calibration
    from sensing.detector import Design
    from sensing.opening import Wanted
    from sensing.raster import LORAWAN_CHANNELS
    from sensing.session import SenseOptions
    from spectrum.eu868 import LORA_BANDWIDTH_HZ, Subchannel

    wanted = Wanted(
        place=source if source is not None else f"synthetic:{options['synthetic']}",
        center_hz=options["center_hz"],
        rate_hz=options["rate_hz"],
        gain_db=options["gain_db"],
        loop=options["loop"],
        seed=seed,
        format_name=options["format_name"],
        follow=options["follow"],
    )
    design = Design(
        pf=options["pf"],
        pm=options["pm"],
        law=options["law"],
        rule=options["rule"],
        floor=options["floor"],
        uncertainty_db=options["uncertainty_db"],
        snr_db=options["snr_db"],
        memory_s=options["memory_s"],
    )
    path = options["calibration"]
    calibration = None if path is None or options["calibrate"] else read_calibration(Path(path))
    return SenseOptions(
        wanted,
        name=name,
        seconds=options["seconds"],
        interval_s=None if options["interval_ms"] is None else options["interval_ms"] / 1e3,
        subchannels=tuple(Subchannel(center_hz, LORA_BANDWIDTH_HZ) for center_hz in options["centers_hz"]) or None,
        within=LORAWAN_CHANNELS if options["lorawan"] else None,
        sigfox=options["sigfox"],
        design=design,
        calibration=calibration,
        record=_record(options),
    )


def _record(options: dict[str, Any]) -> Record | None:
    if (options["record_folder"] is None) != (options["limit_bytes"] is None):
        raise BadInput("--record DIR and --limit-bytes N go together: a recorder without a limit fills the disk")
    if options["record_folder"] is None:
        return None
    from sensing.session import Record

    return Record(Path(options["record_folder"]), options["limit_bytes"])
