"""Gives a Redis on a unix socket an address on a testbed's network, over mutual TLS, which it does not speak itself.

    python -m testbed.tls_relay ADDRESS PORT SOCKET CA CERTIFICATE KEY

Whoever has a certificate of the authority is let through. Says `up` once it listens.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from contextlib import suppress
from typing import Final

CHUNK_BYTES: Final = 65536


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # either end may hang up
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


async def relay(address: str, port: int, path: str, tls: ssl.SSLContext) -> None:
    """Until cancelled."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            database = await asyncio.open_unix_connection(path)
        except OSError:  # it has gone
            writer.close()
            return
        await asyncio.gather(_pump(reader, database[1]), _pump(database[0], writer))

    async with await asyncio.start_server(serve, address, port, ssl=tls) as server:
        sys.stdout.write("up\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    at, at_port, socket_path, ca, certificate, key = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    asyncio.run(relay(at, int(at_port), socket_path, context))
