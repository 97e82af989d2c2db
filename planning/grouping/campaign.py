"""Many runs of the experiments on all cores, kept in a file so that a broken-off campaign goes on where it stood."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import msgspec

from planning.grouping.experiments import Run, Setting, measured
from spectrum.errors import BadInput


@dataclass(frozen=True)
class Task:
    """One network under one method: what `measured` takes."""

    setting: Setting
    method: str
    seed: int

    def key(self) -> str:
        """What tells tasks apart; a longer run holds all shorter ones, so the number of moments does not."""
        setting = asdict(self.setting)
        setting.pop("moments")
        return json.dumps({"setting": setting, "method": self.method, "seed": self.seed}, sort_keys=True)


def longest(tasks: Iterable[Task]) -> list[Task]:
    """Every network and method once, for the most moments asked, the longest work first."""
    most: dict[str, Task] = {}
    for task in tasks:
        known = most.setdefault(task.key(), task)
        most[task.key()] = task if task.setting.moments > known.setting.moments else known
    return sorted(most.values(), key=lambda task: -(task.setting.moments + 1) * task.setting.devices)


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    """One line of the file."""

    key: str
    run: Run


class Store:
    """Runs by task in a file of JSON lines, `key` and `run`, appended as they are done; None: in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._runs: dict[str, Run] = {}
        if path is not None and path.exists():
            # A run broken off while writing leaves half a line: it ends here, and is measured again.
            text = path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]
            for line in whole.splitlines():
                self._remember(line)
            if whole != text:
                path.write_text(whole, encoding="utf-8")

    def _remember(self, line: str) -> None:
        try:
            record = msgspec.json.decode(line, type=_Record)
        except msgspec.MsgspecError as error:
            raise BadInput(
                f"expected a run in every line of {self._path}, got {line[:60]!r}; remove the file"
            ) from error
        self._runs[record.key] = record.run

    def find(self, task: Task) -> Run | None:
        """The run of a task, which may have more moments than asked."""
        run = self._runs.get(task.key())
        return None if run is None or len(run.lines) <= task.setting.moments else run

    def add(self, task: Task, run: Run) -> None:
        """Keep a run."""
        self._runs[task.key()] = run
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(msgspec.json.encode(_Record(task.key(), run)).decode() + "\n")


def carry_out(tasks: Iterable[Task], store: Store, workers: int, done: Callable[[int], None]) -> None:
    """Measure what the store does not hold yet, on `workers` processes; done(moments) after each."""
    missing = []
    for task in longest(tasks):
        if store.find(task) is None:
            missing.append(task)
        else:
            done(task.setting.moments + 1)
    for task, run in _measured(missing, workers):
        store.add(task, run)
        done(task.setting.moments + 1)


def _measured(tasks: list[Task], workers: int) -> Iterator[tuple[Task, Run]]:
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield task, _measure(task)
        return
    # Spawned, not forked: a progress bar has a thread of its own, and forking beside threads can hang.
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("spawn"))
    try:
        futures = {pool.submit(_measure, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _measure(task: Task) -> Run:
    return measured(task.setting, task.method, task.seed)
