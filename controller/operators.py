"""What operators have said: policy, N, bans, pins, evictions. Kept in the database: every controller of a site obeys.

Each word is an event, and an entry of the stream `audit`: who, when, what, before, after, from where. It is written in
the same step as the word itself, and can be undone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from allocation.policies import policy_named
from channel_status import records
from channel_status.memory import neighbours_of
from channel_status.protocol import ChannelStatusDatabase
from spectrum.errors import BadInput, Failed
from spectrum.eu868 import Subchannel
from spectrum.status import Lease

KIND: Final = "operators"
RECORD: Final = "word"
AUDIT: Final = "audit"
AUDIT_PAGE: Final = 1000

Rule = Literal["auto", "pinned", "banned"]
# What an action makes of a subchannel's rule, from which rule.
RULES: Final[dict[str, tuple[Rule | None, Rule]]] = {
    "ban": (None, "banned"),
    "pin": (None, "pinned"),
    "unban": ("banned", "auto"),
    "unpin": ("pinned", "auto"),
}


class CannotNow(Failed):
    """There is nothing to do, or something stands in the way; the message says what."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. address: from where, as far as it is known."""

    name: str
    role: str = "operator"
    address: str = ""


@dataclass(frozen=True, slots=True)
class OperatorsWord:
    """What stands beside the site file. policy, attempts: None for the site's own. banned, pinned: keys of subchannels.

    Banned: given to nobody. Pinned: may be given whatever sensing says of it (a lease still keeps others away).
    """

    policy: str | None = None
    attempts: int | str | None = None
    banned: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()

    def rule(self, subchannel: str) -> Rule:
        """What was said of a subchannel."""
        return "banned" if subchannel in self.banned else "pinned" if subchannel in self.pinned else "auto"

    def with_rule(self, subchannel: str, rule: Rule) -> OperatorsWord:
        """The same with another rule for one subchannel."""
        banned = {*self.banned} - {subchannel} | ({subchannel} if rule == "banned" else set())
        pinned = {*self.pinned} - {subchannel} | ({subchannel} if rule == "pinned" else set())
        return replace(self, banned=tuple(sorted(banned)), pinned=tuple(sorted(pinned)))


def word_of(kept: bytes | None) -> OperatorsWord:
    """The word as it is kept; nothing said when there is none."""
    if kept is None:
        return OperatorsWord()
    found = records.decode(kept)
    return OperatorsWord(found["policy"], found["attempts"], tuple(found["banned"]), tuple(found.get("pinned", ())))


def read_word(database: ChannelStatusDatabase, site: str) -> OperatorsWord:
    """What operators have said so far; raises DatabaseAway."""
    return word_of(database.get_some(site, KIND, [RECORD]).get(RECORD))


class Operators:
    """The operators' side: changes the word, and tells the event stream and the audit."""

    def __init__(self, database: ChannelStatusDatabase, site: str, subchannels: tuple[Subchannel, ...]) -> None:
        self._database = database
        self._site = site
        self._keys = {records.subchannel_key(cell): cell for cell in subchannels}
        self._neighbours = neighbours_of(subchannels)

    def word(self) -> OperatorsWord:
        """What stands."""
        return read_word(self._database, self._site)

    def set_policy(
        self, policy: str | None, attempts: int | str | None, by: Actor, now_s: float, undo_of: str | None = None
    ) -> dict[str, Any]:
        """Another policy and N (None: back to the site file's); BadInput when there is no such policy or N.

        Here and below: the entry of the audit; CannotNow when nothing would change.
        """
        if policy is not None:
            policy_named(policy)
        if attempts is not None and attempts != "auto" and not (isinstance(attempts, int) and 1 <= attempts <= 1000):
            raise BadInput(f"attempts must be 1 to 1000 or 'auto', got {attempts!r}")

        def change(word: OperatorsWord) -> OperatorsWord:
            if (word.policy, word.attempts) == (policy, attempts):
                raise CannotNow("policy and N are as asked already")
            return replace(word, policy=policy, attempts=attempts)

        action = "undo policy" if undo_of else "policy"
        return self._keep(change, action, "policy", _policy_of, by, now_s, undo_of)

    def set_rule(self, action: str, subchannel: str, by: Actor, now_s: float) -> dict[str, Any]:
        """`ban`, `unban`, `pin` or `unpin` a subchannel; leases that stand keep it. BadInput for an unknown one."""
        self._known(subchannel)
        needed, rule = RULES[action]

        def change(word: OperatorsWord) -> OperatorsWord:
            found = word.rule(subchannel)
            if found == rule or (needed is not None and found != needed):
                raise CannotNow(f"cannot {action} {subchannel}: it is {'not ' + str(needed) if needed else found}")
            return word.with_rule(subchannel, rule)

        return self._keep(change, action, subchannel, lambda word: {"rule": word.rule(subchannel)}, by, now_s)

    def evict(self, lease_id: str, by: Actor, now_s: float) -> tuple[dict[str, Any], Lease]:
        """End a lease before its time; CannotNow when it is not live."""
        lease = self._database.release(self._site, lease_id, now_s, f"evicted by {by.name}")
        if lease is None:
            raise CannotNow(f"no lease {lease_id!r} is live: it has ended, or was released")
        kept = records.lease_fields(lease)
        entry = audit_entry("evict", lease_id, {"lease": kept}, {"lease": None}, by, now_s)
        self._database.append(self._site, AUDIT, [records.encode(entry)])
        return entry, lease

    def undo(self, entry_id: str, by: Actor, now_s: float) -> dict[str, Any]:
        """Take an action back; CannotNow says why it cannot, BadInput when there is no such entry."""
        entry, undone_by = self._find(entry_id)
        action, subject, before, after = entry["action"], entry["subject"], entry["before"], entry["after"]
        action = action.removeprefix("undo ") if "lease" not in after else action
        if undone_by is not None:
            raise CannotNow(f"{action} of {subject} was undone already, by {undone_by}")
        if action == "policy":
            return self._undo_policy(entry, by, now_s)
        if action == "evict":
            return self._undo_evict(entry, by, now_s)
        if "rule" not in after:
            raise CannotNow(f"{action} of {subject} cannot be undone: evict the lease again instead")

        def change(word: OperatorsWord) -> OperatorsWord:
            if word.rule(subject) != after["rule"]:
                raise CannotNow(f"{subject} is {word.rule(subject)} by now, not {after['rule']}: it was changed since")
            return word.with_rule(subject, before["rule"])

        return self._keep(
            change, f"undo {action}", subject, lambda word: {"rule": word.rule(subject)}, by, now_s, entry_id
        )

    def _undo_policy(self, entry: dict[str, Any], by: Actor, now_s: float) -> dict[str, Any]:
        before, after = entry["before"], entry["after"]
        if _policy_of(self.word()) != after:
            raise CannotNow("policy and N were changed again since: undo the later change first")
        return self.set_policy(before["policy"], before["attempts"], by, now_s, entry["id"])

    def _undo_evict(self, entry: dict[str, Any], by: Actor, now_s: float) -> dict[str, Any]:
        """Let the lease stand again from now to its end, if nobody has come in between."""
        kept = entry["before"]["lease"]
        lease = records.lease_of(kept)
        if lease.end_s <= now_s:
            raise CannotNow(f"lease {lease.lease_id} would have ended by now: there is nothing to give back")
        lease = replace(lease, start_s=records.whole(max(lease.start_s, now_s)))
        reason = f"eviction undone by {by.name}"
        blocker = self._database.restore(self._site, lease, self._neighbours, now_s, reason)
        if blocker is not None:
            raise CannotNow(f"the air of lease {lease.lease_id} is taken: lease {blocker} came in between")
        restored = {"lease": records.lease_fields(lease)}
        undone = audit_entry("undo evict", entry["subject"], {"lease": None}, restored, by, now_s, entry["id"])
        self._database.append(self._site, AUDIT, [records.encode(undone)])
        return undone

    def _find(self, entry_id: str) -> tuple[dict[str, Any], str | None]:
        """An entry of the audit, and who has undone it."""
        undone_by, before = None, ""
        while page := self._database.read_newest(self._site, AUDIT, before, AUDIT_PAGE):
            for kept in page:
                entry = records.decode(kept.value)
                if entry["undo_of"] == entry_id:
                    undone_by = entry["by"]
                if entry["id"] == entry_id:
                    return entry, undone_by
            before = page[-1].entry_id
        raise BadInput(f"no action {entry_id!r} is known: expected the id of an entry of the audit")

    def _known(self, subchannel: str) -> None:
        if subchannel not in self._keys:
            raise BadInput(
                f"no subchannel {subchannel!r} at this site: expected HZ/WIDTH such as {next(iter(self._keys))}"
            )

    def _keep(
        self,
        change: Callable[[OperatorsWord], OperatorsWord],
        action: str,
        subject: str,
        shown: Callable[[OperatorsWord], dict[str, Any]],
        by: Actor,
        now_s: float,
        undo_of: str | None = None,
    ) -> dict[str, Any]:
        """Change the word where nobody else changes it at the same time; word, event and audit in one step."""
        while True:
            kept = self._database.get_some(self._site, KIND, [RECORD]).get(RECORD)
            word = word_of(kept)
            changed = change(word)
            entry = audit_entry(action, subject, shown(word), shown(changed), by, now_s, undo_of)
            event = {
                "event": "operator", "at_us": entry["at_us"], "what": action, "by": by.name, "word": asdict(changed),
            }  # fmt: skip
            tell = {"events": records.encode(event), AUDIT: records.encode(entry)}
            values = {RECORD: (kept, records.encode(asdict(changed)))}
            if not self._database.exchange(self._site, KIND, values, tell):
                return entry


def _policy_of(word: OperatorsWord) -> dict[str, Any]:
    return {"policy": word.policy, "attempts": word.attempts}


def audit_entry(
    action: str,
    subject: str,
    before: dict[str, Any],
    after: dict[str, Any],
    by: Actor,
    now_s: float,
    undo_of: str | None = None,
) -> dict[str, Any]:
    """One entry of the audit, as it is kept."""
    return {
        "id": secrets.token_hex(8), "at_us": str(records.microseconds(now_s)), "by": by.name, "role": by.role,
        "from": by.address, "action": action, "subject": subject, "before": before, "after": after, "undo_of": undo_of,
    }  # fmt: skip
