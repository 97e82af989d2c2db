"""`airshed check`: a site file and this machine, before anything starts; or a dongle, before it is trusted."""

from __future__ import annotations

import click

from sensing.check_command import run_check, sensor_options
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option


@click.command()
@click.argument("site_file", metavar="[SITE.toml]", required=False)
@sensor_options
@json_option
def check(site_file: str | None, place: str | None, as_json: bool, **options: object) -> int:
    """Check SITE.toml and this machine, or try a receiver for ten seconds.

    Looked at are keys, database, ports, sensors and what they hear, gateways, their devices and the devices' keys.

    With SITE.toml, ends with 2 when the file itself is wrong (naming the key), with 1 when this machine is not ready
    for it. With --sensor, looks at the rate really delivered, samples lost (also in the dongle's test mode), whether
    the level follows the gain, clipping, DC, mirror image, the crystal's error against a known carrier, and the noise
    figure against a terminator; says in plain words what to mend, and ends with 1 when something must be.

    \b
    airshed check hardware/sites/loopback.toml
    airshed check --sensor
    airshed check --sensor rtlsdr:roof --carrier 868.3e6
    airshed check --sensor rtl_tcp://127.0.0.1:1234 --seconds 3 --json
    """
    if (site_file is None) == (place is None):
        raise BadInput("give either a site file or --sensor, see airshed check --help")
    if place is not None:
        return run_check(place, as_json=as_json, **options)
    assert site_file is not None
    from controller.site_check import check_site
    from spectrum.site_file import read_site

    findings = list(check_site(read_site(site_file)))
    if as_json:
        emit_json({"site_file": site_file, "good": all(f.good for f in findings),
                   "findings": [{"what": f.what, "good": f.good, "said": f.said} for f in findings]})  # fmt: skip
    else:
        for finding in findings:
            click.echo(f"{'ok ' if finding.good else 'BAD'} {finding.what}: {finding.said}")
    return 0 if all(finding.good for finding in findings) else 1
