"""Which database a process uses: REDIS_URL, else the site's own URL, else the embedded server of the site."""

from __future__ import annotations

import os

from channel_status.embedded import embedded_url, socket_folder
from channel_status.protocol import ChannelStatusDatabase
from channel_status.redis_door import connect
from spectrum.site_file import EMBEDDED, Site


def database_url(site: Site) -> str:
    """The URL to use for a site; `embedded` becomes the unix socket of the site's own server."""
    url = os.environ.get("REDIS_URL") or site.database.url
    return embedded_url(socket_folder(site.name)) if url == EMBEDDED else url


def uses_embedded(site: Site) -> bool:
    """Whether the controller has to run the site's database itself."""
    return not os.environ.get("REDIS_URL") and site.database.url == EMBEDDED


def open_database(site: Site) -> ChannelStatusDatabase:
    """The site's database; connecting is lazy, so that parts may start in any order."""
    return connect(database_url(site), tls_ca=site.database.tls_ca)
