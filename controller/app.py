"""The controller as an app on os-ken or Ryu: a thread takes asks from the desk and lets the allocator answer them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from channel_status.protocol import DatabaseAway
from controller.answering import answers_of
from controller.desk import Waiting
from controller.office import Office
from controller.sdn_base import App

log = logging.getLogger(__name__)

# How long the loop sleeps when nobody asks, how often it sweeps ended leases, and how often it looks at the rest.
IDLE_S: Final = 0.1
SWEEP_S: Final = 0.25
LOOK_S: Final = 1.0


class AirshedController(App):  # type: ignore[misc]
    """The app: owns the allocator."""

    def __init__(self, *args: Any, office: Office, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._office = office
        self._swept_s = 0.0
        self._looked_s = 0.0
        self._database_away = False
        # A real thread on both bases: it waits for the desk and the database, which would hold up all greenlets.
        self._worker = threading.Thread(target=self._work, name="allocator", daemon=True)

    def start(self) -> None:
        """Called by the app manager: the event loop of the base, and ours beside it."""
        super().start()
        self._worker.start()

    def _work(self) -> None:
        while self.is_active:
            self._serve(self._office.desk.take(IDLE_S))
            try:
                self._sweep(self._office.clock())
            except Exception:
                log.exception("looking after leases, gateways and operators failed: again in %g s", SWEEP_S)
                self._office.metrics.failures.inc()

    def _serve(self, waiting: Sequence[Waiting]) -> None:
        """Answer a batch."""
        if not waiting:
            return
        office = self._office
        answers = answers_of(
            lambda asks: office.allocator.answer(asks, office.clock()),
            [one.ask for one in waiting],
            office.metrics.failures.inc,
        )
        for one, answer in zip(waiting, answers, strict=True):
            one.reply(answer)
        now_s = time.monotonic()
        office.metrics.answered(answers, [now_s - one.arrived_s for one in waiting])

    def _sweep(self, now_s: float) -> None:
        """End what has ended; now and then look at the rest. A database that is away is told once."""
        if 0.0 <= now_s - self._swept_s < SWEEP_S:
            return
        self._swept_s = now_s
        try:
            self._office.metrics.ended(self._office.allocator.expire(now_s), now_s)
            if not 0.0 <= now_s - self._looked_s < LOOK_S:
                self._looked_s = now_s
                self._look(now_s)
        except DatabaseAway as error:
            if not self._database_away:
                log.warning("%s", error)
            self._database_away = True
            return
        if self._database_away:
            log.info("the database is back")
            self._office.allocator.database_is_back(now_s)
        self._database_away = False

    def _look(self, now_s: float) -> None:
        """An operator's word, subchannels that turn bad, gateways that stay away, gauges."""
        office = self._office
        office.allocator.follow_operators()
        office.evictions.look()
        office.metrics.leases_warned.inc(office.interference.look(now_s))
        office.metrics.bad_subchannels.set(len(office.interference.bad))
        office.gateways.give_up(now_s)
        office.metrics.gateways.set(len(office.gateways.attached))
        office.metrics.refused_waiting.set(office.desk.refused)
        office.metrics.sensing_age_s.set(office.allocator.sensing_age_s(now_s))
        office.metrics.live_leases.set(office.allocator.lease_count())

    def stop(self) -> None:
        """Called by the app manager at the end: the loop ends with its current batch."""
        self._office.desk.close()
        super().stop()
        self._worker.join()
