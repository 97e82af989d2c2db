"""`airshed check`: a site file and this machine, before anything starts."""

from __future__ import annotations

import click

from terminal.command import emit_json, json_option


@click.command()
@click.argument("site_file", metavar="SITE.toml")
@json_option
def check(site_file: str, as_json: bool) -> int:
    """Check SITE.toml and this machine: keys, database, port, sensors, coverage.

    Ends with 2 when the file itself is wrong (naming the key), with 1 when this machine is not ready for it.
    """
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
