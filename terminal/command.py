"""Command-line habits in one place: lazy subcommands, errors of one line, `--json`, `--seed`, progress bars."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final

import click

from spectrum.errors import AirshedError

# Exit status by convention of shells for a process ended by SIGINT.
INTERRUPTED: Final = 130

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object (or one a line) for machines.")
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of all randomness."
)


class LazyGroup(click.Group):
    """A group whose subcommands are (module:attribute, one-line help) and are imported only when called."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self.lazy[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, summary) for name, (_, summary) in self.lazy.items()]
        rows += [(name, command.get_short_help_str()) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def run(group: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; whatever is meant for a person is one line on stderr.

    0 done, 1 failed, 2 usage or bad input, 130 interrupted.
    """
    try:
        result = group.main(args=arguments, prog_name=group.name, standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.Abort:
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)  # a group called without a command: its help, whole
        return error.exit_code
    except click.ClickException as error:
        return _complain(_usage(error), error.exit_code)
    except AirshedError as error:
        return _complain(str(error), error.exit_status)
    except BrokenPipeError:
        # The reader (head, less) has gone; keep the interpreter from complaining once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _complain("not enough memory for this size: try fewer devices, runs or a shorter time", 1)
    return result if isinstance(result, int) else 0


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see '{context.command_path} --help')" if context is not None else ""
    return f"{error.format_message()}{hint}"


def _complain(message: str, status: int) -> int:
    click.echo(f"airshed: {' '.join(message.split())}", err=True)
    return status


def emit_json(value: Mapping[str, Any], stream: IO[str] | None = None) -> None:
    """Print one JSON object on one line at once; infinities and NaN, which JSON has not, become null."""
    print(json.dumps(_finite(value), separators=(", ", ": ")), file=stream or sys.stdout, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, (str, int)):  # most of a long answer: looked at first, which halves the time
        return value
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "tolist"):  # a numpy array or scalar
        return _finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def progress(label: str, total: float, *, quiet: bool = False) -> Iterator[Any]:
    """A progress bar on stderr when that is a terminal; yields a function `advance(amount=1)`."""
    if quiet or not sys.stderr.isatty():
        yield lambda amount=1: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda amount=1: bar.advance(task, amount)
