"""The gRPC door of the controller: agents' streams, unary calls, health and reflection.

An asyncio server on an event loop in a real thread of its own, beside os-ken's: a thousand agents cost a
thousand coroutines, not two thousand threads. What waits for the database runs in a small pool; what asks for a lease
goes over the desk to the allocator's thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from controller.backhaul.post import Ended, Registered, ip_of
from controller.codec import answer_message, ask_of, change_message, status_message
from controller.mailroom import Box, Mailroom
from controller.office import Office
from controller.peers import Peer, peer_of
from controller.requests import Answer, Refusal
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.errors import BadInput, Failed
from spectrum.site_file import Site

log = logging.getLogger(__name__)

SERVICE: Final = "airshed.v1.Controller"

# A unary request waits this long for the allocator, or until its own deadline if that comes first.
ANSWER_TIMEOUT_S: Final = 5.0

# Messages waiting to be sent to one agent; more are dropped, for an agent that reads nothing.
WAITING_MESSAGES: Final = 4096

START_TIMEOUT_S: Final = 30.0

# An agent that is silent this long is asked whether it is there, and given half as long to answer.
KEEPALIVE_MS: Final = 10_000


class ControllerService(wire_grpc.ControllerServicer):
    """The calls of controller.proto, over what the controller works with. Lives on the door's event loop."""

    def __init__(self, office: Office, database: ChannelStatusDatabase) -> None:
        self._office = office
        self._database = database

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called once, when the loop runs."""
        self._loop = loop
        self._boxes: dict[str, set[Box]] = {}
        if self._office.backhaul is not None:
            self._office.backhaul.hang_up = self._have_hung_up
        self._office.gateways.send = self._have_sent
        full = "a message to an agent that reads nothing was dropped"
        self._mail = Mailroom(loop, WAITING_MESSAGES, lambda: log.warning(full))

    def _have_hung_up(self, gateway: str) -> None:
        """`_hang_up` from any thread."""
        self._loop.call_soon_threadsafe(self._hang_up, gateway)

    def _have_sent(self, gateway: str, message: wire.ControllerMessage) -> None:
        """Send to a gateway's streams, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send, gateway, message)

    def _send(self, gateway: str, message: wire.ControllerMessage) -> None:
        for box in self._boxes.get(gateway, ()):
            self._mail.put(box, message)

    def _hang_up(self, gateway: str) -> None:
        """End the streams of a gateway; its agent dials again."""
        for box in self._boxes.get(gateway, ()):
            box.put_nowait(None)

    @property
    def _site(self) -> Site:
        return self._office.allocator.site

    def _peer(self, context: Any) -> Peer:
        return peer_of(context.auth_context(), tls=self._site.tls is not None)

    async def _permit(self, allowed: bool, what: str, context: Any) -> None:
        if not allowed:
            peer = self._peer(context)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{peer.role} {peer.name} may not {what}")

    async def Attach(
        self, request_iterator: AsyncIterator[wire.AgentMessage], context: Any
    ) -> AsyncIterator[wire.ControllerMessage]:
        """One agent's stream, from `register` to its end."""
        gateway = await self._registered(await anext(request_iterator, None), context)
        box: Box = asyncio.Queue()
        box.put_nowait(wire.ControllerMessage(registered_site=self._site.name))
        gateways, clock, backhaul = self._office.gateways, self._office.clock, self._office.backhaul
        await asyncio.to_thread(gateways.attach, gateway, clock())
        self._boxes.setdefault(gateway, set()).add(box)
        if backhaul is not None:
            backhaul.put(Registered(gateway, ip_of(context.peer())))
        reading = asyncio.create_task(self._read(gateway, request_iterator, box))
        try:
            while (message := await box.get()) is not None:
                yield message
        finally:
            reading.cancel()
            self._boxes[gateway].discard(box)
            if backhaul is not None:
                backhaul.put(Ended(gateway))
            # In a thread of its own: this coroutine may be cancelled, and the gateway has gone all the same.
            self._loop.run_in_executor(None, gateways.detach, gateway, clock())

    async def _registered(self, first: wire.AgentMessage | None, context: Any) -> str:
        """The gateway's name from the first message; aborts the call when it is wrong or not the caller's."""
        if first is None or not first.HasField("register") or not first.register.gateway:
            message = "a stream begins with `register` and the name of a gateway"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        assert first is not None
        gateway, site = first.register.gateway, first.register.site
        if site not in ("", self._site.name):
            message = f"this controller runs site {self._site.name}, the agent came for {site}"
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        await self._permit(self._peer(context).may_speak_for(gateway), f"speak for gateway {gateway}", context)
        return gateway

    async def _read(self, gateway: str, messages: AsyncIterator[wire.AgentMessage], box: Box) -> None:
        """What an agent says, until it goes. Whatever ends the reading ends the stream.

        Uplinks that could not be kept are never acknowledged: when the database is back the stream ends, and the agent
        sends them again on its next one.
        """
        kept_uplinks, lost = 0, False
        try:
            async for message in messages:
                for request in message.requests:
                    self._ask(gateway, request, box)
                if message.confirmed or message.renewals or message.releases or message.uplinks:
                    changes, kept = await asyncio.to_thread(self._carry_out, gateway, message)
                    lost = lost or not kept
                    kept_uplinks += 0 if lost else len(message.uplinks)
                    if changes:
                        self._mail.put(box, wire.ControllerMessage(changes=changes))
                if message.HasField("heartbeat"):
                    self._beat(box, kept_uplinks)
                    if lost and await asyncio.to_thread(self._database_answers):
                        break
            self._beat(box, kept_uplinks)
        except grpc.RpcError:
            pass  # the agent has gone; the stream ends below
        finally:
            box.put_nowait(None)

    def _beat(self, box: Box, kept_uplinks: int) -> None:
        beat = wire.Heartbeat(at_us=records.microseconds(self._office.clock()), kept_uplinks=kept_uplinks)
        self._mail.put(box, wire.ControllerMessage(heartbeat=beat))

    def _database_answers(self) -> bool:
        try:
            self._database.ping()
        except DatabaseAway:
            return False
        return True

    def _carry_out(self, gateway: str, message: wire.AgentMessage) -> tuple[list[wire.LeaseChange], bool]:
        """What an agent says of its leases and receptions, in the database; whether all was kept."""
        allocator, now_s = self._office.allocator, self._office.clock()
        changes: list[wire.LeaseChange] = []
        try:
            for lease_id in message.confirmed:
                allocator.confirm(lease_id, now_s, gateway)
            for renewal in message.renewals:
                lease = allocator.renew(renewal.lease_id, records.seconds(renewal.end_us), now_s, gateway)
                changes.append(change_message(renewal.lease_id, lease))
            for release in message.releases:
                lease = allocator.release(release.lease_id, release.reason, now_s, gateway)
                changes.append(change_message(release.lease_id, lease))
            if message.uplinks:
                self._database.append(self._site.name, "uplinks", [uplink_record(gateway, u) for u in message.uplinks])
        except DatabaseAway as error:
            log.warning("what gateway %s said is not kept: %s", gateway, error)
            return changes, not message.uplinks
        return changes, True

    def _ask(self, gateway: str, request: wire.LeaseRequest, box: Box) -> None:
        try:
            ask = ask_of(request, gateway)
        except BadInput as error:
            self._mail.post(box, Answer(request.request_id, (), Refusal("invalid", str(error))))
            return
        self._office.desk.ask(ask, lambda answer: self._mail.post(box, answer))

    async def Allocate(self, request: wire.LeaseRequest, context: Any) -> wire.LeaseAnswer:
        """One request without a stream."""
        speaks = self._peer(context).may_speak_for(request.gateway)
        await self._permit(speaks, f"ask for gateway {request.gateway or '(none)'}", context)
        try:
            ask = ask_of(request, request.gateway)
        except BadInput as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answered: asyncio.Future[Answer] = self._loop.create_future()

        def reply(answer: Answer) -> None:
            self._loop.call_soon_threadsafe(lambda: None if answered.done() else answered.set_result(answer))

        self._office.desk.ask(ask, reply)
        remaining_s = context.time_remaining()
        wait_s = ANSWER_TIMEOUT_S if remaining_s is None else min(remaining_s, ANSWER_TIMEOUT_S)
        try:
            return answer_message(await asyncio.wait_for(answered, wait_s))
        except TimeoutError:
            message = "the allocator did not answer in time: ask again"
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, message)
            raise

    async def Release(self, request: wire.ReleaseRequest, context: Any) -> wire.LeaseChange:
        """End a lease: a gateway its own, an operator any."""
        peer, allocator = self._peer(context), self._office.allocator
        await self._permit(peer.role in ("gateway", "operator"), "end leases", context)
        arguments = (request.lease_id, request.reason, self._office.clock(), peer.holder)
        lease = await self._from_database(context, allocator.release, *arguments)
        return change_message(request.lease_id, lease)

    async def Status(self, request: wire.StatusRequest, context: Any) -> wire.StatusReply:
        """The channel map."""
        await self._permit(self._peer(context).role != "nobody", "see the channel map", context)
        now_s = self._office.clock()
        snapshot, leases = await self._from_database(context, self._office.allocator.status, now_s)
        return status_message(self._site.name, snapshot, leases, self._office.gateways.attached, now_s)

    async def Explain(self, request: wire.ExplainRequest, context: Any) -> wire.ExplainReply:
        """The last decision about a device."""
        await self._permit(self._peer(context).role != "nobody", "see decisions", context)
        decision = await self._from_database(context, self._office.allocator.explain, request.device)
        return wire.ExplainReply(decision_json=(decision or b"").decode())

    @staticmethod
    async def _from_database(context: Any, call: Any, *arguments: Any) -> Any:
        """Call what waits for the database, in the pool; aborts with UNAVAILABLE when it is away."""
        try:
            return await asyncio.to_thread(call, *arguments)
        except DatabaseAway as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise


def uplink_record(gateway: str, uplink: wire.Uplink) -> bytes:
    """One reception as it is kept in the stream `uplinks`, for monitoring."""
    return records.encode(
        {
            "device": uplink.device,
            "time_s": records.seconds(uplink.at_us),
            "gateway": gateway,
            "subchannel_hz": uplink.subchannel_hz,
            "rssi_dbm": uplink.rssi_dbm,
            "snr_db": uplink.snr_db,
            "size_bytes": uplink.size_bytes,
        }
    )


def is_loopback(address: str) -> bool:
    """Whether a listening address is reachable from this machine only."""
    host = address.rpartition(":")[0].strip("[]")
    return address.startswith("unix:") or host in ("localhost", "::1") or host.startswith("127.")


class GrpcDoor:
    """The server in its thread. Made and started: `port` is open. Failed when it cannot listen."""

    def __init__(self, site: Site, service: ControllerService) -> None:
        self._address = site.controller.listen
        if site.tls is None and not is_loopback(self._address):
            raise BadInput(f"controller.listen is {self._address}: outside loopback a [tls] table is needed")
        self._credentials = credentials(site) if site.tls else None
        self._service = service
        self.port = 0
        self._up = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="grpc", daemon=True)

    def start(self) -> None:
        """Serve from now on; Failed when the address is taken."""
        self._thread.start()
        self._up.wait(START_TIMEOUT_S)
        if self.port == 0:
            self._thread.join()
            raise Failed(f"cannot listen on {self._address}: is another controller running there, or the port taken?")

    def stop(self) -> None:
        """End all streams and calls, and the thread."""
        if self._thread.is_alive() and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(5.0)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._up.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 2),
            ]
        )
        self._service.begin(self._loop)
        wire_grpc.add_ControllerServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        try:
            if self._credentials is None:
                port = server.add_insecure_port(self._address)
            else:
                port = server.add_secure_port(self._address, self._credentials)
        except RuntimeError:
            return  # `start` says so
        await server.start()
        await checks.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        self.port = port
        self._up.set()
        await self._stop.wait()
        await checks.enter_graceful_shutdown()
        await server.stop(0.3)


def credentials(site: Site) -> Any:
    """Server credentials of a site: mutual TLS."""
    assert site.tls is not None
    try:
        with open(site.tls.key, "rb") as key, open(site.tls.certificate, "rb") as chain, open(site.tls.ca, "rb") as ca:
            return grpc.ssl_server_credentials([(key.read(), chain.read())], ca.read(), require_client_auth=True)
    except OSError as error:
        raise BadInput(f"[tls]: {error.filename} cannot be read: {error.strerror}") from None
