"""One request that nobody foresaw does not take the others down."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controller.answering import answers_of
from controller.requests import Answer, Ask


def test_only_the_request_that_fails_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    failures = []

    def answer(asks: Sequence[Ask]) -> list[Answer]:
        if any(ask.device == "poison" for ask in asks):
            raise ZeroDivisionError
        return [Answer(ask.request_id) for ask in asks]

    asks = [Ask(f"r{i}", device, "gw", "lora", 0.1) for i, device in enumerate(("a", "poison", "b"))]
    answers = answers_of(answer, asks, lambda: failures.append(1))
    assert [one.request_id for one in answers] == ["r0", "r1", "r2"]
    assert [one.refusal is None for one in answers] == [True, False, True]
    assert len(failures) == 1
    assert "request r1 of device poison" in caplog.text
