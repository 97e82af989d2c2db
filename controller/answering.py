"""An answer for every request of a batch, whatever one of them does to the allocator."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from controller.requests import Answer, Ask, Refusal

log = logging.getLogger(__name__)


def answers_of(
    answer: Callable[[Sequence[Ask]], Sequence[Answer]], asks: Sequence[Ask], failed: Callable[[], None]
) -> list[Answer]:
    """`answer(asks)`; when that fails, request by request, and those that fail alone are refused, logged and `failed`.

    The allocator's thread serves every gateway: an error that nobody foresaw must not end it.
    """
    try:
        return list(answer(asks))
    except Exception:
        if len(asks) > 1:
            return [alone for ask in asks for alone in answers_of(answer, [ask], failed)]
        log.exception("request %s of device %s cannot be answered", asks[0].request_id, asks[0].device)
        failed()
        return [Answer(asks[0].request_id, (), Refusal("invalid", "the controller failed on it: its log says how"))]
