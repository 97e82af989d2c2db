"""The Redis door: the only file that imports redis. Every change of leases is one server-side script (EVALSHA)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from channel_status import records
from channel_status.keys import key, lease_sets
from channel_status.orders import orders_json
from channel_status.protocol import STREAM_LENGTH, DatabaseAway, Entry, Grant, LeaseOrder, stream_length
from spectrum.errors import BadInput
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.status import Lease

# A call that takes longer finds the database away; scripts take well under a millisecond.
SOCKET_TIMEOUT_S: Final = 2.0

# How many ended leases one sweep removes: bounded, so that a sweep never holds up a request for long.
SWEEP: Final = 500


def script(name: str) -> str:
    """A script with what all of them share in front."""
    folder = files("channel_status") / "scripts"
    return (folder / "common.lua").read_text() + (folder / f"{name}.lua").read_text()


def connect(url: str, *, tls_ca: str | None = None) -> RedisDatabase:
    """The database at `url` (redis://, rediss://, unix://, or redis+cluster:// for a cluster).

    Connecting is lazy: use `ping` to know that it is there. BadInput for a URL that is none.
    """
    options: dict[str, Any] = {"socket_timeout": SOCKET_TIMEOUT_S, "socket_connect_timeout": SOCKET_TIMEOUT_S}
    if tls_ca is not None:
        options["ssl_ca_certs"] = tls_ca
    try:
        if url.startswith(("redis+cluster://", "rediss+cluster://")):
            client: Any = redis.RedisCluster.from_url(url.replace("+cluster", "", 1), **options)
        else:
            client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 1), **options)
    except redis.ConnectionError as error:
        raise DatabaseAway(f"no Redis Cluster answers at {without_password(url)}: {_short(error)}") from None
    except (ValueError, redis.RedisError) as error:
        raise BadInput(
            f"expected a URL such as redis://127.0.0.1:6379/0 or unix:///path/redis.sock, "
            f"got {without_password(url)}: {_short(error)}"
        ) from None
    return RedisDatabase(client, without_password(url))


def without_password(url: str) -> str:
    """The URL with its password starred, fit for messages and logs."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    if not at:
        return url
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user}:***@{place}"


class RedisDatabase:
    """A ChannelStatusDatabase in Redis 6.2 or newer, or in a Redis Cluster."""

    def __init__(self, client: Any, place: str) -> None:
        self._redis = client
        self._place = place
        self._allocate = client.register_script(script("allocate"))
        self._change = client.register_script(script("change"))
        self._exchange = client.register_script(script("exchange"))
        self._restore = client.register_script(script("restore"))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Redis' own errors as the protocol's, with where and what to do."""
        try:
            yield
        except redis.AuthenticationError as error:
            raise BadInput(f"Redis at {self._place} refused the credentials: {_short(error)}") from None
        except (
            redis.ConnectionError,
            redis.TimeoutError,
            redis.BusyLoadingError,
            redis.exceptions.ClusterDownError,
        ) as error:
            raise DatabaseAway(
                f"Redis at {self._place} does not answer ({_short(error)}): is it running, and is the address right?"
            ) from None
        except redis.RedisError as error:
            raise DatabaseAway(f"Redis at {self._place} refused: {_short(error)}") from None

    def publish(self, site: str, reports: Sequence[ChannelReport]) -> None:
        """See ChannelStatusDatabase.publish."""
        if not reports:
            return
        fields = {records.report_field(report): records.encode_report(report) for report in reports}
        with self._translated():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(key(site, "status"), mapping=fields)
            self._add(pipe, site, "reports", records.encode(reports))
            pipe.execute()

    def reports(self, site: str) -> tuple[ChannelReport, ...]:
        """See ChannelStatusDatabase.reports."""
        with self._translated():
            values = self._redis.hvals(key(site, "status"))
        return tuple(records.decode_report(value) for value in values)

    def allocate(self, site: str, orders: Sequence[LeaseOrder], now_s: float) -> tuple[Grant, ...]:
        """See ChannelStatusDatabase.allocate: one script for all orders."""
        if not orders:
            return ()
        keys = [key(site, "leases"), key(site, "ends"), key(site, "decisions"), key(site, "stream", "events")]
        arguments = [
            orders_json(site, orders, keys),
            records.microseconds(now_s),
            STREAM_LENGTH["events"],
            *(order.why for order in orders),
        ]
        with self._translated():
            answers = self._allocate(keys=keys, args=arguments)
        return tuple(
            Grant(records.lease_of(records.decode(text)), tuple(records.decode(blocked)), bool(known))
            for text, blocked, known in answers
        )

    def confirm(self, site: str, lease_id: str, now_s: float, *, holder: str = "") -> Lease | None:
        """See ChannelStatusDatabase.confirm."""
        return self._changed(site, "confirmed", lease_id, now_s, holder=holder)

    def renew(self, site: str, order: LeaseOrder, end_s: float, now_s: float, *, holder: str = "") -> Lease | None:
        """See ChannelStatusDatabase.renew."""
        return self._changed(
            site, "renewed", order.lease_id, now_s, end_s=end_s, neighbours=order.neighbours, holder=holder
        )

    def release(
        self, site: str, lease_id: str, now_s: float, reason: str = "released", *, holder: str = ""
    ) -> Lease | None:
        """See ChannelStatusDatabase.release."""
        return self._changed(site, "released", lease_id, now_s, reason=reason, holder=holder)

    def restore(
        self,
        site: str,
        lease: Lease,
        neighbours: Mapping[Subchannel, tuple[Subchannel, ...]],
        now_s: float,
        reason: str,
    ) -> str | None:
        """See ChannelStatusDatabase.restore."""
        keys = [key(site, "leases"), key(site, "ends"), key(site, "stream", "events")]
        for watched in (lease.subchannel, *neighbours.get(lease.subchannel, ())):
            keys.extend(lease_sets(site, watched))
        text = records.encode(records.lease_fields(lease))
        arguments = [text, records.microseconds(now_s), reason, STREAM_LENGTH["events"]]
        with self._translated():
            blocker: bytes | None = self._restore(keys=keys, args=arguments)
        return None if blocker is None else blocker.decode()

    def expire(self, site: str, now_s: float) -> tuple[Lease, ...]:
        """See ChannelStatusDatabase.expire."""
        with self._translated():
            ids = self._redis.zrange(
                key(site, "ends"), "-inf", records.microseconds(now_s), byscore=True, offset=0, num=SWEEP
            )
        ended = (self._changed(site, "expired", lease_id.decode(), now_s) for lease_id in ids)
        return tuple(lease for lease in ended if lease is not None)

    def _changed(
        self,
        site: str,
        what: str,
        lease_id: str,
        now_s: float,
        *,
        end_s: float | None = None,
        reason: str = "",
        neighbours: Mapping[Subchannel, tuple[Subchannel, ...]] | None = None,
        holder: str = "",
    ) -> Lease | None:
        with self._translated():
            text = self._redis.hget(key(site, "leases"), lease_id)
            if text is None:
                return None
            # A lease never changes its subchannel, so its sets may be named before the script looks again.
            lease = records.lease_of(records.decode(text))
            if holder and lease.gateway != holder:
                return None  # a lease never changes its gateway either
            subchannel = lease.subchannel
            keys = [key(site, "leases"), key(site, "ends"), key(site, "stream", "events")]
            for watched in (subchannel, *(neighbours or {}).get(subchannel, ())):
                keys.extend(lease_sets(site, watched))
            arguments = [
                what,
                lease_id,
                records.microseconds(now_s),
                "" if end_s is None else records.microseconds(end_s),
                reason,
                STREAM_LENGTH["events"],
            ]
            changed = self._change(keys=keys, args=arguments)
        return None if changed is None else records.lease_of(records.decode(changed))

    def leases(self, site: str, now_s: float) -> tuple[Lease, ...]:
        """See ChannelStatusDatabase.leases."""
        with self._translated():
            values = self._redis.hvals(key(site, "leases"))
        leases = (records.lease_of(records.decode(value)) for value in values)
        return tuple(sorted((x for x in leases if x.end_s > now_s), key=lambda x: (x.start_s, x.lease_id)))

    def some_leases(self, site: str, lease_ids: Sequence[str]) -> tuple[Lease, ...]:
        """See ChannelStatusDatabase.some_leases."""
        if not lease_ids:
            return ()
        with self._translated():
            values = self._redis.hmget(key(site, "leases"), list(lease_ids))
        return tuple(records.lease_of(records.decode(value)) for value in values if value is not None)

    def lease_count(self, site: str) -> int:
        """See ChannelStatusDatabase.lease_count."""
        with self._translated():
            count: int = self._redis.hlen(key(site, "leases"))
        return count

    def decision(self, site: str, device: str) -> bytes | None:
        """See ChannelStatusDatabase.decision."""
        with self._translated():
            found: bytes | None = self._redis.hget(key(site, "decisions"), device)
        return found

    def append(self, site: str, stream: str, values: Sequence[bytes]) -> None:
        """See ChannelStatusDatabase.append."""
        if not values:
            return
        with self._translated():
            pipe = self._redis.pipeline(transaction=True)
            for value in values:
                self._add(pipe, site, stream, value)
            pipe.execute()

    @staticmethod
    def _add(pipe: Any, site: str, stream: str, value: bytes) -> None:
        pipe.xadd(key(site, "stream", stream), {"v": value}, maxlen=stream_length(stream), approximate=True)

    def read(self, site: str, stream: str, after: str = "", count: int = 1000) -> tuple[Entry, ...]:
        """See ChannelStatusDatabase.read."""
        with self._translated():
            rows = self._redis.xrange(key(site, "stream", stream), min=f"({after}" if after else "-", count=count)
        return _entries(rows)

    def read_many(self, site: str, after: Mapping[str, str], count: int = 1000) -> dict[str, tuple[Entry, ...]]:
        """See ChannelStatusDatabase.read_many."""
        if not after:
            return {}
        with self._translated():
            pipe = self._redis.pipeline(transaction=False)
            for stream, place in after.items():
                pipe.xrange(key(site, "stream", stream), min=f"({place}" if place else "-", count=count)
            found = pipe.execute()
        return {stream: _entries(rows) for stream, rows in zip(after, found, strict=True)}

    def read_newest(self, site: str, stream: str, before: str = "", count: int = 1000) -> tuple[Entry, ...]:
        """See ChannelStatusDatabase.read_newest."""
        with self._translated():
            rows = self._redis.xrevrange(key(site, "stream", stream), max=f"({before}" if before else "+", count=count)
        return _entries(rows)

    def put(self, site: str, kind: str, values: Mapping[str, bytes]) -> None:
        """See ChannelStatusDatabase.put."""
        if values:
            with self._translated():
                self._redis.hset(key(site, "record", kind), mapping=dict(values))

    def get(self, site: str, kind: str) -> dict[str, bytes]:
        """See ChannelStatusDatabase.get."""
        with self._translated():
            values = self._redis.hgetall(key(site, "record", kind))
        return {name.decode(): value for name, value in values.items()}

    def get_some(self, site: str, kind: str, names: Sequence[str]) -> dict[str, bytes]:
        """See ChannelStatusDatabase.get_some."""
        if not names:
            return {}
        with self._translated():
            values = self._redis.hmget(key(site, "record", kind), list(names))
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    def exchange(
        self,
        site: str,
        kind: str,
        values: Mapping[str, tuple[bytes | None, bytes]],
        tell: Mapping[str, bytes] | None = None,
    ) -> frozenset[str]:
        """See ChannelStatusDatabase.exchange."""
        if not values:
            return frozenset()
        told = tell or {}
        keys = [key(site, "record", kind), *(key(site, "stream", stream) for stream in told)]
        arguments: list[Any] = []
        for stream, value in told.items():
            arguments += (value, stream_length(stream))
        for name, (read, new) in values.items():
            arguments += (name, "" if read is None else sha1(read, usedforsecurity=False).hexdigest(), new)
        with self._translated():
            contested = self._exchange(keys=keys, args=arguments)
        return frozenset(name.decode() for name in contested)

    def delete(self, site: str, kind: str, names: Sequence[str]) -> None:
        """See ChannelStatusDatabase.delete."""
        if names:
            with self._translated():
                self._redis.hdel(key(site, "record", kind), *names)

    def forget(self, site: str) -> None:
        """See ChannelStatusDatabase.forget."""
        with self._translated():
            found = list(self._redis.scan_iter(match=key(site, "*"), count=1000))
            for start in range(0, len(found), SWEEP):
                self._redis.unlink(*found[start : start + SWEEP])

    def ping(self) -> None:
        """See ChannelStatusDatabase.ping."""
        with self._translated():
            self._redis.ping()

    def memory_bytes(self) -> int:
        """Memory the server uses for everything it holds."""
        with self._translated():
            used: int = self._redis.info("memory")["used_memory"]
        return used

    def server_pid(self) -> int:
        """Process id of the server, for who measures what it costs."""
        with self._translated():
            pid: int = self._redis.info("server")["process_id"]
        return pid

    def erase(self) -> None:
        """Forget everything in the server; only for a server of our own."""
        with self._translated():
            self._redis.flushall()

    def shut_down(self) -> None:
        """End the server itself, its append-only file written; only for a server of our own."""
        with self._translated():
            self._redis.shutdown()

    def close(self) -> None:
        """See ChannelStatusDatabase.close."""
        with self._translated():
            self._redis.close()


def _entries(rows: Any) -> tuple[Entry, ...]:
    return tuple(Entry(entry_id.decode(), fields[b"v"]) for entry_id, fields in rows)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
