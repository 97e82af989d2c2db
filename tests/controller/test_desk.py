"""Fairness between gateways, bounds, and the way back."""

from __future__ import annotations

import threading

from controller.desk import Desk
from controller.fair_queue import FairQueue
from controller.requests import Answer, Ask


def test_sources_are_taken_in_turn() -> None:
    queue: FairQueue[str] = FairQueue(100)
    for i in range(50):
        queue.put("flood", f"f{i}")
    queue.put("quiet", "q0")
    queue.put("other", "o0")
    assert queue.take(5, 0.0) == ["f0", "q0", "o0", "f1", "f2"]


def test_a_full_source_is_refused_and_counted_and_the_others_are_not() -> None:
    queue: FairQueue[int] = FairQueue(3)
    taken = [queue.put("flood", i) for i in range(5)]
    assert taken == [True, True, True, False, False]
    assert queue.refused == 2
    assert queue.put("quiet", 1)


def test_taking_waits_for_somebody() -> None:
    queue: FairQueue[int] = FairQueue(3)
    threading.Timer(0.05, queue.put, ("a", 7)).start()
    assert queue.take(10, 10.0) == [7]
    queue.close()
    assert queue.take(10, 10.0) == []
    assert not queue.put("a", 8)


def test_the_desk_refuses_what_does_not_fit() -> None:
    desk = Desk(waiting_per_gateway=1)
    answers: list[Answer] = []
    for i in range(2):
        desk.ask(Ask(f"r{i}", "d", "gw", "lora", 0.1), answers.append)
    assert [a.refusal.reason for a in answers if a.refusal] == ["overloaded"]
    assert desk.refused == 1


def test_waiting_for_an_answer() -> None:
    desk = Desk()

    def serve() -> None:
        for waiting in desk.take(5.0):
            waiting.reply(Answer(waiting.ask.request_id))

    server = threading.Thread(target=serve)
    server.start()
    answer = desk.ask_and_wait(Ask("r", "d", "gw", "lora", 0.1), 5.0)
    server.join()
    assert answer == Answer("r")
    assert desk.ask_and_wait(Ask("r2", "d", "gw", "lora", 0.1), 0.01) is None
