"""What the commands of `airshed roam` that read a folder have in common: options, session, printing."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from terminal.command import json_option, progress

ONE_TO_ANY: Final = click.IntRange(min=1)
# Threads are made as asked for: far more than a large machine has cores would bring it down.
MOST_THREADS: Final = 256


class Finite(click.FloatRange):
    """A range that nan does not slip through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, got {value}", param, ctx)
        return number


def folder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that reads a folder."""
    options = [
        click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path)),
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder of result files.  [default: FOLDER/results]",
        ),
        click.option(
            "--network",
            "network_file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="The site's network table.  [default: FOLDER/network.toml]",
        ),
        click.option(
            "--site-key",
            type=click.Path(dir_okay=False, path_type=Path),
            help="File of the secret identifiers are hashed with; made if absent.  [default: FOLDER/site.key]",
        ),
        click.option(
            "--keep-identifiers",
            is_flag=True,
            help="Name devices in results as in the input, for input that holds pseudonyms already.",
        ),
        click.option(
            "--keywords",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A keyword list of your own (CSV: keyword,kind,vertical,unless,source).",
        ),
        click.option(
            "--unguarded",
            is_flag=True,
            help="Spread device properties as the paper prints it: half the phones become things.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["duckdb", "spark"]),
            default="duckdb",
            show_default=True,
            help="Where the pipeline runs; spark needs the extra `cluster` and Java.",
        ),
        click.option(
            "--buckets",
            type=click.IntRange(1, 4096),
            help="Work on so many parts of the devices in turn (duckdb).  [default: by size]",
        ),
        click.option(
            "--memory-gb",
            type=Finite(min=0.1, max=1e6),
            default=1.0,
            show_default=True,
            help="Memory of the engine; what does not fit is spilled to disk.",
        ),
        click.option(
            "--threads", type=click.IntRange(1, MOST_THREADS), help="Threads of the engine.  [default: all cores]"
        ),
        json_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


class Session:
    """A folder opened as the options say: the run, its engine, and what was read."""

    def __init__(self, options: dict[str, Any], engine: Any, run: Any) -> None:
        self.options, self.engine, self.run = options, engine, run

    def build(self, label: str, *, catalog_to: Path | None = None, classify: bool = True) -> Any:
        from monitoring.roaming import pipeline

        with progress(label, 1.0, quiet=self.options["as_json"]) as advance:
            intaker = pipeline.build_devices(self.run, self.engine, advance, catalog_to=catalog_to)
        if classify:
            pipeline.classify(self.run, self.engine)
        return intaker


@contextlib.contextmanager
def open_session(options: dict[str, Any]) -> Iterator[Session]:
    from monitoring.roaming import pipeline
    from monitoring.roaming.apn import read_keywords
    from monitoring.roaming.network import read_network
    from monitoring.roaming.privacy import read_or_make_key

    folder: Path = options["folder"]
    out: Path = options["out"] or folder / "results"
    network = read_network(options["network_file"] or folder / "network.toml")
    run = pipeline.Run(
        folder,
        out,
        network,
        read_or_make_key(options["site_key"] or folder / "site.key"),
        read_keywords(options["keywords"]),
        not options["unguarded"],
        options["keep_identifiers"],
        options["buckets"],
    )
    kind, memory_gb, threads = options["engine"], options["memory_gb"], options["threads"]
    with pipeline.open_engine(kind, out, memory_gb=memory_gb, threads=threads) as engine:
        yield Session(options, engine, run)


def network_or_none(folder: Path) -> Path:
    """The folder's network table, or an empty one: the platform view needs no own network."""
    path = folder / "network.toml"
    if path.exists():
        return path
    from importlib import resources

    return Path(str(resources.files("monitoring.roaming").joinpath("no_network.toml")))


def learn(session: Session, seed: int) -> None:
    import numpy as np

    from monitoring.roaming import learned

    table = learned.read_table(session.engine, sample=learned.LARGEST_SAMPLE)
    learned.apply(session.engine, learned.train(table, np.random.default_rng(seed)))


def truth_scores(session: Session, intaker: Any) -> dict[str, Any]:
    """Scores, when the folder has a truth table."""
    from monitoring.roaming import evaluate as against
    from monitoring.roaming.schema import TRUTH

    if not intaker.parts(TRUTH):
        return {}
    intaker.bring_as_table(TRUTH)
    return {"truth": against.against_truth(session.engine)}


def print_with_rows(
    session: Session, found: dict[str, Any], key: str, select: str = "", *, parts: list[Path] | None = None
) -> None:
    """Print one JSON object: the summary and, under `key`, the rows; streamed, so that memory stays bounded."""
    from monitoring.roaming.engine import json_rows

    head = json.dumps(found)
    sys.stdout.write(f'{head[:-1]}, "{key}": [')
    for number, row in enumerate(json_rows(session.engine, select, parts)):
        sys.stdout.write(f"{', ' if number else ''}{row}")
    sys.stdout.write("]}\n")


def say(found: Mapping[str, Any], indent: int = 0) -> None:
    """Print a nested summary for people: a level deeper where there is more than one line to say."""
    for key, value in found.items():
        name = f"{' ' * indent}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping) and any(isinstance(item, (Mapping, list)) for item in value.values()):
            click.echo(f"{name}:")
            say(value, indent + 2)
        elif isinstance(value, list):
            click.echo(f"{name}:")
            for item in value:
                click.echo(" " * (indent + 2) + _one_line(item))
        else:
            click.echo(f"{name}: {_one_line(value)}")


def _one_line(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_one_line(item)}" for key, item in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
