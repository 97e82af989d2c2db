"""`airshed roam`: its subcommands and options; the work lies in the modules beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from monitoring.roaming.folder_command import (
    ONE_TO_ANY,
    Finite,
    folder_options,
    learn,
    network_or_none,
    open_session,
    print_with_rows,
    say,
    truth_scores,
)
from spectrum.errors import BadInput
from terminal.command import emit_json, json_option, progress, seed_option


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def roam() -> None:
    """Which devices on a network are things, whose they are, and what they cost it.

    \b
    Start here:
      airshed roam schema                                   what a folder of records must hold
      airshed roam synthesize --devices 20000 --days 22 --seed 1 --out demo
      airshed roam classify demo                            device, label, class, vertical, evidence, confidence
      airshed roam evaluate demo                            the classes against the truth of the synthetic folder
      airshed roam report demo                              every figure and table in one HTML file
    """


_PLATFORM_SUMMARY = ("rows", "rejected", "platform_devices", "window_days", "failures", "counts")


@roam.command()
@json_option
def schema(as_json: bool) -> None:
    """Print the tables, columns and kinds of values that a folder of network records must have."""
    from monitoring.roaming.schema import as_json as schema_json
    from monitoring.roaming.schema import describe

    if as_json:
        emit_json(schema_json())
    else:
        click.echo(describe())


@roam.command()
@click.option("--devices", type=click.IntRange(1, 1_000_000_000), required=True, help="How many devices.")
@click.option(
    "--days", type=click.IntRange(1, 366), default=22, show_default=True, help="How many days, from 2019-04-05."
)
@seed_option
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write into.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Parquet is about seven times smaller.",
)
@click.option("--daily-parts", is_flag=True, help="Write radio and cdr as a file a day, as large populations need.")
@json_option
def synthesize(
    devices: int, days: int, seed: int, out: Path, file_format: str, daily_parts: bool, as_json: bool
) -> None:
    """Write a synthetic population with truth, by the paper's published marginals. It describes no person.

    radio, cdr, tac, sectors, platform, truth and network.toml, in the documented schema; 1,000,000 devices over 22 days
    are 98 million rows and about 1 GB of Parquet.
    """
    from monitoring.roaming.synthesize import synthesize as write

    with progress("synthesizing", 1.0, quiet=as_json) as advance:
        rows = write(out, devices, days, seed, file_format, advance, daily_parts=daily_parts)
    if as_json:
        emit_json({"out": str(out), "devices": devices, "days": days, "seed": seed, "rows": rows})
    else:
        click.echo(f"{out}: " + ", ".join(f"{name} {count:,}" for name, count in rows.items()))


@roam.command()
@folder_options
@click.option(
    "--learned", is_flag=True, help="Let a classifier trained on the labelled devices decide what the rules cannot."
)
@click.option("--format", "file_format", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@seed_option
def classify(learned: bool, file_format: str, seed: int, **options: Any) -> None:
    """Class of every device: device, label, class, vertical, evidence, confidence.

    Written to OUT/classes.csv; with --json printed as well, as {"devices": [...]} beside the counts. When the folder
    has truth, the confusion matrix, precision and recall come along.
    """
    from monitoring.roaming import pipeline, rules

    with open_session(options) as session:
        intaker = session.build("classifying")
        if learned:
            learn(session, seed)
        found = pipeline.summary(session.run, session.engine, intaker)
        found |= truth_scores(session, intaker)
        path = session.run.out / f"classes.{file_format}"
        select = rules.output(keep_names=session.run.keep_names) + " ORDER BY device"
        session.engine.write_result(select, path)
        found["path"] = str(path)
        if options["as_json"]:
            print_with_rows(session, found, "devices", select)
        else:
            say(found)


@roam.command()
@folder_options
def catalog(**options: Any) -> None:
    """The daily devices-catalogue: events, calls, bytes, networks, APNs, properties, radio, mobility a day.

    Written to OUT/catalog/ as Parquet parts; with --json printed as well, as {"catalog": [...]}.
    """
    from monitoring.roaming import pipeline

    with open_session(options) as session:
        target = session.run.out / "catalog"
        intaker = session.build("cataloguing", catalog_to=target)
        found = pipeline.summary(session.run, session.engine, intaker) | {"path": str(target)}
        if options["as_json"]:
            parts = [path for path in target.rglob("*.parquet") if path.is_file()]
            print_with_rows(session, found, "catalog", parts=parts)
        else:
            say(found)


@roam.command()
@folder_options
@click.option("--learned", is_flag=True, help="Let a trained classifier decide what the rules cannot.")
@click.option("--k", type=ONE_TO_ANY, default=1, show_default=True, help="Withhold rows of fewer than k devices.")
@click.option(
    "--top", type=ONE_TO_ANY, default=20, show_default=True, help="Devices in each list of the platform view."
)
@seed_option
def report(learned: bool, k: int, top: int, seed: int, **options: Any) -> None:
    """Figures 3-4 and 6-13 with their tables, in one HTML file that needs nothing else: OUT/report.html."""
    from monitoring.roaming import m2m_platform, pipeline, population_figures
    from monitoring.roaming.page import page
    from monitoring.roaming.schema import PLATFORM

    with open_session(options) as session:
        intaker = session.build("reporting")
        if learned:
            learn(session, seed)
        intaker.bring_as_table(PLATFORM)
        if session.run.keep_names:
            session.engine.table("names", intaker.names())
        limits = m2m_platform.Limits()
        m2m_platform.prepare(session.engine, limits)
        figures = m2m_platform.figures(session.engine) + population_figures.figures(session.engine)
        figures = [figure.withheld(k) for figure in figures]
        found = pipeline.summary(session.run, session.engine, intaker) | truth_scores(session, intaker)
        platform_view = m2m_platform.view(session.engine, limits, top=top, keep_names=session.run.keep_names)
        lists = {name: platform_view[name] for name in ("failures", "storms", "ping_pong", "permanent_roamers")}
        path = session.run.out / "report.html"
        path.write_text(page(f"Things on {session.run.network.name}", found, figures, lists if k == 1 else {}, k=k))
        found |= {"path": str(path), "figures": [figure.as_json() for figure in figures]}
        if options["as_json"]:
            emit_json(found)
        else:
            click.echo(f"{path}: {len(figures)} figures of {found['device_count']:,} devices")


@roam.command()
@folder_options
@click.option("--top", type=ONE_TO_ANY, default=100, show_default=True, help="Devices in each list, loudest first.")
@click.option(
    "--storm-per-day", type=ONE_TO_ANY, default=1000, show_default=True, help="Records a day that make a storm."
)
@click.option(
    "--storm-per-hour", type=ONE_TO_ANY, default=200, show_default=True, help="Records an hour that make one."
)
@click.option(
    "--ping-pong",
    type=ONE_TO_ANY,
    default=10,
    show_default=True,
    help="Returns to the network just left, to be listed.",
)
@click.option(
    "--return-window-s",
    type=Finite(min=1),
    default=3600.0,
    show_default=True,
    help="Longest time away that counts as a return.",
)
@click.option(
    "--permanent-share",
    type=Finite(0.0, 1.0, min_open=True),
    default=0.8,
    show_default=True,
    help="Share of the window's days abroad, never at home, of a permanent roamer.",
)
def platform(top: int, **options: Any) -> None:
    """The M2M platform's view: failures by cause, signalling storms, ping-pong between operators, permanent roamers."""
    from monitoring.roaming import m2m_platform, pipeline
    from monitoring.roaming.schema import PLATFORM

    limits = m2m_platform.Limits(**{name: options.pop(name) for name in m2m_platform.LIMITS})
    options_without_network = {
        **options,
        "network_file": options["network_file"] or network_or_none(options["folder"]),
    }
    with open_session(options_without_network) as session:
        intaker = session.run.intaker(session.engine)
        intaker.bring_as_table(PLATFORM, needed=True)
        if session.run.keep_names:
            session.engine.table("names", intaker.names())
        m2m_platform.prepare(session.engine, limits)
        found: dict[str, Any] = {"rows": dict(intaker.intake.rows), "rejected": pipeline.rejections(intaker.intake)}
        found |= m2m_platform.view(session.engine, limits, top=top, keep_names=session.run.keep_names)
        found["figures"] = [figure.as_json() for figure in m2m_platform.figures(session.engine)]
        if options["as_json"]:
            emit_json(found)
        else:
            say({key: found[key] for key in _PLATFORM_SUMMARY})
            for name in ("storms", "ping_pong", "permanent_roamers", "failing_devices"):
                click.echo(f"\n{name.replace('_', ' ')}: {found['counts'][name]}")
                for entry in found[name][:10]:
                    click.echo("  " + "  ".join(f"{key}={value}" for key, value in entry.items() if key != "action"))


@roam.command()
@folder_options
@seed_option
def evaluate(seed: int, **options: Any) -> None:
    """Rules and trained classifier against the folder's truth: confusion, precision, recall, calibration."""
    import numpy as np

    from monitoring.roaming import evaluate as against
    from monitoring.roaming import learned
    from monitoring.roaming.schema import TRUTH

    with open_session(options) as session:
        intaker = session.build("evaluating")
        intaker.bring_as_table(TRUTH, needed=True)
        found = {
            "rules": against.against_truth(session.engine),
            "rules_by_step": against.by_step(session.engine),
            "rules_without_apn": against.against_truth(session.engine, "c.apns = 0"),
            "learned": learned.evaluate(session.engine, np.random.default_rng(seed)),
        }
        if options["as_json"]:
            emit_json(found)
        else:
            say(found)


@roam.command()
@folder_options
@click.option(
    "--k", type=click.IntRange(min=2), default=10, show_default=True, help="Fewest devices a row may stand for."
)
def export(k: int, **options: Any) -> None:
    """A k-anonymous table to hand out: devices counted by class, label, vertical, radio, country, vendor.

    Written to OUT/export.csv. Rows of fewer than k devices lose attributes until they stand for k, or are withheld.
    """
    import csv

    from monitoring.roaming.export import export as exported

    with open_session(options) as session:
        session.build("exporting")
        found = exported(session.engine, k)
        path = session.run.out / "export.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([found["columns"], *found["rows"]])
        found["path"] = str(path)
        if options["as_json"]:
            emit_json(found)
        else:
            click.echo(f"{path}: {len(found['rows'])} rows, {found['withheld_devices']} devices withheld")


@roam.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--days", type=ONE_TO_ANY, help="Keep so many days.  [default: retention_days of FOLDER/network.toml]")
@json_option
def purge(folder: Path, days: int | None, as_json: bool) -> None:
    """Remove results in FOLDER/results that are older than the retention; records that came in are not touched."""
    import time

    from monitoring.roaming.network import read_network
    from monitoring.roaming.retention import purge as remove

    kept_days = days or read_network(folder / "network.toml").retention_days
    removed = remove(folder / "results", kept_days, time.time())
    if as_json:
        emit_json({"retention_days": kept_days, "removed": [str(path) for path in removed]})
    else:
        click.echo(f"{len(removed)} files older than {kept_days} days removed")


@roam.command()
@click.argument("identifiers", nargs=-1, required=True)
@click.option("--site-key", type=click.Path(dir_okay=False, exists=True, path_type=Path), required=True)
@json_option
def pseudonym(identifiers: tuple[str, ...], site_key: Path, as_json: bool) -> None:
    """Print the pseudonym of identifiers, for who may hold the site key: to find one device in the results."""
    from monitoring.roaming.privacy import as_text, read_or_make_key

    key = read_or_make_key(site_key)
    found = {identifier: as_text(key.pseudonym(identifier)) for identifier in identifiers}
    if as_json:
        emit_json(found)
    else:
        for identifier, name in found.items():
            click.echo(f"{identifier} {name}")


@roam.command()
@click.argument("dev_addrs", nargs=-1)
@click.option("--own", multiple=True, required=True, help="NetID of the site, 6 hexadecimal digits; may be repeated.")
@click.option("--virtual", multiple=True, help="NetID of a network it carries.")
@click.option("--national", multiple=True, help="NetID of another network of its country.")
@click.option(
    "--file", "file", type=click.File("r"), help="CSV with columns dev_addr and, if known, gateway_net_id; - for stdin."
)
@json_option
def lorawan(
    dev_addrs: tuple[str, ...],
    own: tuple[str, ...],
    virtual: tuple[str, ...],
    national: tuple[str, ...],
    file: Any,
    as_json: bool,
) -> None:
    """Home or roaming in LoRaWAN, by NetID and DevAddr prefix.

    \b
    airshed roam lorawan 26011bda fc00af12 --own 000013
    """
    import csv

    from monitoring.roaming import lorawan as prefixes

    net_ids = prefixes.NetIds(*(frozenset(map(prefixes.parse_net_id, texts)) for texts in (own, virtual, national)))
    rows: list[tuple[str, str | None]] = [(text, None) for text in dev_addrs]
    if file is not None:
        reader = csv.DictReader(file)
        if "dev_addr" not in (reader.fieldnames or ()):
            raise BadInput(f"--file: expected a column dev_addr, came {reader.fieldnames}")
        rows += [(row["dev_addr"], row.get("gateway_net_id") or None) for row in reader]
    if not rows:
        raise BadInput("expected DevAddrs as arguments or --file, came none")
    found = prefixes.labels(rows, net_ids)
    if as_json:
        emit_json({"addresses": found})
        return
    for entry in found:
        click.echo("  ".join(f"{key}={value}" for key, value in entry.items()))
