"""`airshed controller`, `allocate`, `explain`, `events` and `replay`."""

from __future__ import annotations

from typing import IO

import click

from terminal.command import emit_json, json_option

site_argument = click.argument("site_file", metavar="SITE.toml")


@click.command()
@site_argument
def controller(site_file: str) -> None:
    """Run the controller of the site in SITE.toml until it is stopped (Ctrl-C or SIGTERM).

    It serves gateway agents over gRPC at `controller.listen`, and runs the site's database itself when `database.url`
    is "embedded" and REDIS_URL is not set. Start to try it: airshed controller hardware/sites/loopback.toml
    """
    from controller.service import collect_rarely, run_controller
    from spectrum.site_file import read_site
    from terminal.logs import log_to_stderr
    from terminal.signals import stopped_by_signals

    site = read_site(site_file)
    log_to_stderr()
    collect_rarely()
    with stopped_by_signals() as stop:
        run_controller(site, stop)


@click.command()
@site_argument
@click.argument("device")
@click.option("--technology", type=click.Choice(["lora", "sigfox"]), default="lora", show_default=True)
@click.option("--airtime", "airtime_s", type=click.FloatRange(min=0, min_open=True), default=0.1, show_default=True,
              help="Time on air of one transmission in seconds.")  # fmt: skip
@click.option(
    "--keeps-time", is_flag=True, help="The device can start at a given time: draw a slot, not only a subchannel."
)
@json_option
def allocate(site_file: str, device: str, technology: str, airtime_s: float, keeps_time: bool, as_json: bool) -> None:
    """Ask the running controller for a subchannel for DEVICE, as an application would."""
    from controller.client import ControllerClient
    from controller.tables import answer_lines
    from spectrum.site_file import read_site

    with ControllerClient(read_site(site_file)) as client:
        answer = client.allocate(device, technology, airtime_s, keeps_time=keeps_time)
    if as_json:
        emit_json(answer)
    else:
        click.echo(answer_lines(answer))
    if "refusal" in answer:
        click.get_current_context().exit(1)


@click.command()
@click.argument("device")
@click.option("--site", "site_file", default="hardware/sites/loopback.toml", show_default=True, metavar="SITE.toml")
@json_option
def explain(device: str, site_file: str, as_json: bool) -> None:
    """Say why DEVICE got its subchannel: the candidates and their weights, the tries, and what stood in the way."""
    from controller.client import ControllerClient
    from controller.tables import explanation
    from spectrum.site_file import read_site

    with ControllerClient(read_site(site_file)) as client:
        decision = client.explain(device)
    if as_json:
        emit_json(decision)
    else:
        click.echo(explanation(decision))


@click.command()
@site_argument
@click.option("--after", default="", metavar="ID", help="Only events after this one (the id that --ids prints).")
@click.option("--ids", is_flag=True, help="Print the id before each event.")
def events(site_file: str, after: str, ids: bool) -> None:
    """Print the recorded event stream of a site, one JSON object a line, oldest first.

    Save it to keep it: airshed events SITE.toml > events.jsonl; then airshed replay events.jsonl decides again.
    """
    from channel_status.opening import open_database
    from spectrum.site_file import read_site

    site = read_site(site_file)
    database = open_database(site)
    try:
        while page := database.read(site.name, "events", after):
            for entry in page:
                click.echo(f"{entry.entry_id} {entry.value.decode()}" if ids else entry.value.decode())
            after = page[-1].entry_id
    finally:
        database.close()


@click.command()
@click.argument("events_file", metavar="EVENTS", type=click.File("rb"))
@json_option
def replay(events_file: IO[bytes], as_json: bool) -> int:
    """Repeat the decisions recorded in EVENTS (`-` for standard input) and compare them byte for byte.

    Ends with 1 when a decision comes out otherwise, and shows the first that does.
    """
    from controller.replay import replay as decide_again

    found = decide_again(events_file)
    if as_json:
        differences = [{"line": d.line, "recorded": d.recorded, "repeated": d.repeated} for d in found.differences]
        emit_json(
            {"decisions": found.decisions, "same": found.same, "unknown": found.unknown, "differences": differences}
        )
    else:
        click.echo(f"{found.same} of {found.decisions} decisions repeated byte for byte")
        if found.unknown:
            click.echo(f"{found.unknown} could not be repeated: the stream no longer holds what they rested on")
        for difference in found.differences[:1]:
            click.echo(
                f"line {difference.line} differs:\n  recorded {difference.recorded}\n  repeated {difference.repeated}"
            )
    return 1 if found.differences else 0
