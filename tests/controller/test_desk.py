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


def test_an_answer_finds_its_way_back() -> None:
    desk = Desk()
    answers: list[Answer] = []
    desk.ask(Ask("r", "d", "gw", "lora", 0.1), answers.append)
    for waiting in desk.take(5.0):
        waiting.reply(Answer(waiting.ask.request_id))
    assert answers == [Answer("r")]


def test_a_gateway_is_held_to_its_rate_and_the_others_are_not() -> None:
    now_s = [0.0]
    desk = Desk(requests_per_s=10.0, clock=lambda: now_s[0])
    answers: list[Answer] = []
    for i in range(30):
        desk.ask(Ask(f"r{i}", "d", "flood", "lora", 0.1), answers.append)
    assert len(answers) == 20  # ten passed in one burst, the rest were refused at once
    assert all(answer.refusal is not None and "more than 10 times" in answer.refusal.message for answer in answers)
    desk.ask(Ask("q", "d", "quiet", "lora", 0.1), answers.append)
    assert len(answers) == 20
    now_s[0] = 0.5
    for i in range(30):
        desk.ask(Ask(f"s{i}", "d", "flood", "lora", 0.1), answers.append)
    assert len(answers) == 20 + 25
