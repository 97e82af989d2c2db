"""What operators have said: policy, N, bans, evictions. Kept in the database, so that every controller of a site obeys.

Each word is an event with who said it, so that it is audited and can be taken back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from allocation.policies import policy_named
from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.status import Lease

KIND: Final = "operators"


@dataclass(frozen=True, slots=True)
class OperatorsWord:
    """What stands beside the site file. policy, attempts: None for the site's own. banned: keys of subchannels."""

    policy: str | None = None
    attempts: int | str | None = None
    banned: tuple[str, ...] = ()


def read_word(database: ChannelStatusDatabase, site: str) -> OperatorsWord:
    """What operators have said so far; raises DatabaseAway."""
    kept = database.get_some(site, KIND, ["word"]).get("word")
    if kept is None:
        return OperatorsWord()
    found = records.decode(kept)
    return OperatorsWord(found["policy"], found["attempts"], tuple(found["banned"]))


class Operators:
    """The operators' side: changes the word and tells the event stream."""

    def __init__(self, database: ChannelStatusDatabase, site: str, subchannels: tuple[Subchannel, ...]) -> None:
        self._database = database
        self._site = site
        self._keys = {records.subchannel_key(cell): cell for cell in subchannels}

    def word(self) -> OperatorsWord:
        """What stands."""
        return read_word(self._database, self._site)

    def set_policy(self, policy: str | None, attempts: int | str | None, by: str, now_s: float) -> OperatorsWord:
        """Another policy and N (None: back to the site file's); BadInput when there is no such policy or N."""
        if policy is not None:
            policy_named(policy)
        if attempts is not None and attempts != "auto" and not (isinstance(attempts, int) and 1 <= attempts <= 1000):
            raise BadInput(f"attempts must be 1 to 1000 or 'auto', got {attempts!r}")
        return self._keep(replace(self.word(), policy=policy, attempts=attempts), "policy", by, now_s)

    def ban(self, subchannel: str, by: str, now_s: float) -> OperatorsWord:
        """Give a subchannel to nobody from now on; leases that stand keep it. BadInput for an unknown one."""
        self._known(subchannel)
        word = self.word()
        return self._keep(replace(word, banned=tuple(sorted({*word.banned, subchannel}))), "ban", by, now_s)

    def unban(self, subchannel: str, by: str, now_s: float) -> OperatorsWord:
        """Give a subchannel again."""
        self._known(subchannel)
        word = self.word()
        left = tuple(key for key in word.banned if key != subchannel)
        return self._keep(replace(word, banned=left), "unban", by, now_s)

    def evict(self, lease_id: str, by: str, now_s: float) -> Lease | None:
        """End a lease before its time."""
        return self._database.release(self._site, lease_id, now_s, f"evicted by {by}")

    def _known(self, subchannel: str) -> None:
        if subchannel not in self._keys:
            raise BadInput(
                f"no subchannel {subchannel!r} at this site: expected HZ/WIDTH such as {next(iter(self._keys))}"
            )

    def _keep(self, word: OperatorsWord, what: str, by: str, now_s: float) -> OperatorsWord:
        event: dict[str, Any] = {
            "event": "operator",
            "at_us": str(records.microseconds(now_s)),
            "what": what,
            "by": by,
            "word": asdict(word),
        }
        self._database.put(self._site, KIND, {"word": records.encode(asdict(word))})
        self._database.append(self._site, "events", [records.encode(event)])
        return word
