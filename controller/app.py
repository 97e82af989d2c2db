"""The controller as an os-ken application: a thread takes asks from the desk and lets the allocator answer them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from os_ken.lib import hub

from channel_status.protocol import DatabaseAway
from controller.allocator import Allocator
from controller.desk import Desk, Waiting
from controller.osken_base import OSKenApp

log = logging.getLogger(__name__)

# How long the loop sleeps when nobody asks, and how often it sweeps ended leases.
IDLE_S: Final = 0.1
SWEEP_S: Final = 0.25


class AirshedController(OSKenApp):  # type: ignore[misc]
    """The app: owns the allocator. `clock` gives seconds since the epoch."""

    def __init__(self, *args: Any, allocator: Allocator, desk: Desk, clock: Callable[[], float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._allocator = allocator
        self._desk = desk
        self._clock = clock
        self._swept_s = 0.0
        self._database_away = False

    def start(self) -> None:
        """Called by the app manager: the event loop of os-ken, and ours beside it."""
        super().start()
        self.threads.append(hub.spawn(self._work))

    def _work(self) -> None:
        while self.is_active:
            self._serve(self._desk.take(IDLE_S))
            self._sweep(self._clock())

    def _serve(self, waiting: Sequence[Waiting]) -> None:
        """Answer a batch."""
        if not waiting:
            return
        answers = self._allocator.answer([one.ask for one in waiting], self._clock())
        for one, answer in zip(waiting, answers, strict=True):
            one.reply(answer)

    def _sweep(self, now_s: float) -> None:
        if 0.0 <= now_s - self._swept_s < SWEEP_S:
            return
        self._swept_s = now_s
        try:
            self._allocator.expire(now_s)
        except DatabaseAway as error:
            if not self._database_away:
                log.warning("%s", error)
            self._database_away = True
        else:
            if self._database_away:
                log.info("the database is back")
            self._database_away = False

    def stop(self) -> None:
        """Called by the app manager at the end: the loop ends with its current batch."""
        self._desk.close()
        super().stop()
