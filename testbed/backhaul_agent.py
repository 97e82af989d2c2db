"""An agent that does as its input says: `state`, or `ask COUNT GAP_S`; answers each line with one line of JSON.

python -m testbed.backhaul_agent SITE_FILE GATEWAY
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from random import Random
from typing import Any, Final

from gateway_agent.controller_link import ControllerLink
from gateway_agent.wire import controller_pb2 as wire
from spectrum.site_file import read_site

PATIENCE_S: Final = 20.0
AIRTIME_US: Final = 50_000


def ask(link: ControllerLink, gateway: str, count: int, gap_s: float) -> list[float]:
    """Seconds from request to grant, of requests one after the other."""
    took_s = []
    for k in range(count):
        answers: list[Any] = []
        request = wire.LeaseRequest(
            request_id=uuid.uuid4().hex, device=f"{gateway}-{k}", technology=wire.LORA, airtime_us=AIRTIME_US
        )
        began_s = time.perf_counter()
        link.request(request, answers.append, PATIENCE_S)
        while not answers and time.perf_counter() - began_s < PATIENCE_S:
            time.sleep(0.0005)
        took_s.append(time.perf_counter() - began_s)
        time.sleep(gap_s)
    return took_s


def main(site_file: str, gateway: str) -> None:
    """Until the input ends."""
    link = ControllerLink(read_site(site_file), gateway, rng=Random(1))
    link.start()
    for line in sys.stdin:
        word, *rest = line.split()
        told = link.state if word == "state" else ask(link, gateway, int(rest[0]), float(rest[1]))
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    link.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
