"""Child processes that end with their parent: started quietly, stopped together within two seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from spectrum.errors import BadInput, Failed
from terminal.children import ending_with_parent

# SIGTERM first; whoever has not ended after this is killed. Together with the rest it stays under two seconds.
GRACE_S: Final = 1.2


class Supervisor:
    """Runs `airshed` subcommands as processes of their own; leaving the `with` block ends them all."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        within: Sequence[str] = (),
        *,
        fed: bool = False,
    ) -> None:
        """Start `airshed ARGUMENTS`; its log goes to a file, its output line by line to `on_line`.

        within: what the command begins with to run elsewhere, for instance in a network namespace. fed: it reads lines
        from its stdin, see `feed`.
        """
        with open(self._folder / f"{name}.log", "w") as log:
            child = subprocess.Popen(
                ending_with_parent([*within, sys.executable, "-m", "airshed", *arguments], signal.SIGKILL),
                stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
                stdout=subprocess.PIPE if on_line else log,
                stderr=log,
                text=True,
                env=self._environment,
                start_new_session=True,
            )
        self._children[name] = child
        if on_line is not None:
            reader = threading.Thread(target=_read_lines, args=(child, on_line), daemon=True)
            reader.start()
            self._readers.append(reader)

    def feed(self, name: str, line: str) -> None:
        """Write a line to a fed child's stdin; one that has ended is found by `check`."""
        stdin = self._children[name].stdin
        assert stdin is not None, "only a child that was started as fed is fed"
        with suppress(BrokenPipeError):
            stdin.write(line + "\n")
            stdin.flush()

    def ended(self, name: str) -> bool:
        """Whether a child has ended by itself."""
        return self._children[name].poll() is not None

    def check(self) -> None:
        """The last line of its log as an error when a child has ended with one: BadInput for status 2, else Failed."""
        for name, child in self._children.items():
            if child.poll():
                kind = BadInput if child.returncode == BadInput.exit_status else Failed
                raise kind(f"the {name} ended with status {child.returncode}: {self.last_line(name)}")

    def last_line(self, name: str) -> str:
        """The last line a child has logged."""
        lines = [line for line in (self._folder / f"{name}.log").read_text().splitlines() if line.strip()]
        return lines[-1].removeprefix("airshed: ") if lines else "it said nothing"

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL to those still there after GRACE_S; returns when all have gone and all is read."""
        running = [child for child in self._children.values() if child.poll() is None]
        for child in running:
            child.terminate()
        deadline = time.monotonic() + GRACE_S
        for child in running:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for reader in self._readers:
            reader.join(1.0)
        for child in self._children.values():
            if child.stdin is not None:
                with suppress(BrokenPipeError):
                    child.stdin.close()


def _read_lines(child: subprocess.Popen[str], on_line: Callable[[str], None]) -> None:
    assert child.stdout is not None
    with child.stdout as lines:
        for line in lines:
            on_line(line)
