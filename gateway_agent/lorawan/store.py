"""Sessions in the Channel Status Database: small records of one kind, named by DevEUI."""

from __future__ import annotations

import logging

import msgspec

from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from gateway_agent.lorawan import session
from gateway_agent.lorawan.session import KIND, Session

log = logging.getLogger(__name__)


class DatabaseStore:
    """The store over a site's database. A record that cannot be read is told and counted, never overwritten unseen."""

    def __init__(self, database: ChannelStatusDatabase, site: str) -> None:
        self._database = database
        self._site = site
        self.away = False
        self._unsaved: dict[str, Session] = {}

    def load(self) -> dict[str, Session]:
        """All sessions of the site; DatabaseAway when they cannot be had, since without counters nobody is safe."""
        found = {}
        for eui, data in self._database.get(self._site, KIND).items():
            try:
                found[eui] = session.decode(data)
            except (msgspec.ValidationError, msgspec.DecodeError) as error:
                log.warning("the session of device %s cannot be read, it has to join again: %s", eui, error)
        return found

    def save(self, kept: Session) -> bool:
        """Keep a session, and with it those that could not be kept before."""
        self._unsaved[kept.dev_eui] = kept
        try:
            self._database.put(self._site, KIND, {eui: session.encode(one) for eui, one in self._unsaved.items()})
        except DatabaseAway as error:
            if not self.away:
                log.warning("sessions are not stored, downlinks wait: %s", error)
            self.away = True
            return False
        self.away = False
        self._unsaved.clear()
        return True
