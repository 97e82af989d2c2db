"""The keys of a site in Redis, version 1. All carry the site in braces: a Redis Cluster keeps a site on one shard.

| key | type | holds |
|---|---|---|
| `airshed:1:{SITE}:status` | hash | newest report per `HZ/WIDTH@SENSOR`, JSON |
| `airshed:1:{SITE}:leases` | hash | lease by id, JSON |
| `airshed:1:{SITE}:ends` | sorted set | lease ids by end, microseconds |
| `airshed:1:{SITE}:taken:HZ/WIDTH` | sorted set | unforced leases of a subchannel by start: `ID|END` |
| `airshed:1:{SITE}:forced:HZ/WIDTH` | sorted set | forced leases of a subchannel by start: `ID|END` |
| `airshed:1:{SITE}:decisions` | hash | last decision by device, JSON |
| `airshed:1:{SITE}:stream:NAME` | stream | those of `protocol.STREAM_LENGTH`; one field `v`, JSON |
| `airshed:1:{SITE}:record:KIND` | hash | small records by name: sessions, periods, policy |
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from spectrum.eu868 import Subchannel

VERSION: Final = 1


def key(site: str, *parts: str) -> str:
    """A key of a site."""
    return ":".join((f"airshed:{VERSION}:{{{site}}}", *parts))


@lru_cache(maxsize=16384)
def lease_sets(site: str, subchannel: Subchannel) -> tuple[str, str]:
    """The two sorted sets of a subchannel: unforced and forced leases."""
    name = f"{round(subchannel.center_hz)}/{round(subchannel.bandwidth_hz)}"
    return key(site, "taken", name), key(site, "forced", name)
