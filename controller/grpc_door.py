"""The gRPC door of the controller: agents' streams, unary calls, health, reflection. Sync, in real threads."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from controller.codec import answer_message, ask_of, change_message, status_message
from controller.office import Office
from controller.peers import Peer, peer_of
from controller.requests import Answer, Refusal
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.errors import BadInput, Failed
from spectrum.site_file import Site

log = logging.getLogger(__name__)

SERVICE: Final = "airshed.v1.Controller"

# Every agent's stream keeps one thread of the pool; unary calls use the rest. Threads are made when they are needed.
MOST_STREAMS: Final = 2000

# A unary request without a deadline of its own waits this long for the allocator.
ANSWER_TIMEOUT_S: Final = 5.0

# Messages waiting to be sent to one agent; more are dropped, for an agent that reads nothing.
WAITING_MESSAGES: Final = 4096

_END: Final = wire.ControllerMessage()


class ControllerService(wire_grpc.ControllerServicer):
    """The calls of controller.proto, over what the controller works with."""

    def __init__(self, office: Office, database: ChannelStatusDatabase) -> None:
        self._office = office
        self._database = database

    @property
    def _site(self) -> Site:
        return self._office.allocator.site

    def _peer(self, context: grpc.ServicerContext) -> Peer:
        return peer_of(context.auth_context(), tls=self._site.tls is not None)

    def Attach(
        self, request_iterator: Iterator[wire.AgentMessage], context: grpc.ServicerContext
    ) -> Iterator[wire.ControllerMessage]:
        """One agent's stream, from `register` to its end."""
        gateway = self._registered(next(request_iterator, None), context)
        outgoing: queue.SimpleQueue[wire.ControllerMessage] = queue.SimpleQueue()
        outgoing.put(wire.ControllerMessage(registered_site=self._site.name))
        context.add_callback(lambda: _offer(outgoing, _END))
        reader = threading.Thread(
            target=self._read, args=(gateway, request_iterator, outgoing), name=f"agent-{gateway}", daemon=True
        )
        self._office.gateways.attach(gateway, self._office.clock())
        reader.start()
        try:
            while (message := outgoing.get()) is not _END:
                yield message
        finally:
            self._office.gateways.detach(gateway, self._office.clock())

    def _registered(self, first: wire.AgentMessage | None, context: grpc.ServicerContext) -> str:
        """The gateway's name from the first message; aborts the call when it is wrong or not the caller's."""
        if first is None or not first.HasField("register") or not first.register.gateway:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a stream begins with `register` and the name of a gateway")
        gateway: str = first.register.gateway  # type: ignore[union-attr]
        site: str = first.register.site  # type: ignore[union-attr]
        if site not in ("", self._site.name):
            message = f"this controller runs site {self._site.name}, the agent came for {site}"
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        self._permit(self._peer(context).may_speak_for(gateway), f"speak for gateway {gateway}", context)
        return gateway

    def _permit(self, allowed: bool, what: str, context: grpc.ServicerContext) -> None:
        if not allowed:
            peer = self._peer(context)
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{peer.role} {peer.name} may not {what}".strip())

    def _read(
        self,
        gateway: str,
        messages: Iterator[wire.AgentMessage],
        outgoing: queue.SimpleQueue[wire.ControllerMessage],
    ) -> None:
        """What an agent says, until it goes. Whatever ends the reading ends the stream."""
        try:
            for message in messages:
                self._hear(gateway, message, outgoing)
        except grpc.RpcError:
            pass  # the agent has gone; the stream ends below
        finally:
            _offer(outgoing, _END)

    def _hear(
        self, gateway: str, message: wire.AgentMessage, outgoing: queue.SimpleQueue[wire.ControllerMessage]
    ) -> None:
        allocator, now_s = self._office.allocator, self._office.clock()
        for request in message.requests:
            self._ask(gateway, request, outgoing)
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
            log.warning("what gateway %s said is lost: %s", gateway, error)
        if changes:
            _offer(outgoing, wire.ControllerMessage(changes=changes))
        if message.HasField("heartbeat"):
            beat = wire.Heartbeat(at_us=records.microseconds(now_s))
            _offer(outgoing, wire.ControllerMessage(heartbeat=beat))

    def _ask(
        self, gateway: str, request: wire.LeaseRequest, outgoing: queue.SimpleQueue[wire.ControllerMessage]
    ) -> None:
        def reply(answer: Answer) -> None:
            _offer(outgoing, wire.ControllerMessage(answers=[answer_message(answer)]))

        try:
            ask = ask_of(request, gateway)
        except BadInput as error:
            reply(Answer(request.request_id, (), Refusal("invalid", str(error))))
            return
        self._office.desk.ask(ask, reply)

    def Allocate(self, request: wire.LeaseRequest, context: grpc.ServicerContext) -> wire.LeaseAnswer:
        """One request without a stream."""
        self._permit(
            self._peer(context).may_speak_for(request.gateway),
            f"ask for gateway {request.gateway or '(none)'}",
            context,
        )
        try:
            ask = ask_of(request, request.gateway)
        except BadInput as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        remaining_s = context.time_remaining()
        wait_s = ANSWER_TIMEOUT_S if remaining_s is None else min(remaining_s, ANSWER_TIMEOUT_S)
        answer = self._office.desk.ask_and_wait(ask, wait_s)
        if answer is None:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the allocator did not answer in time: ask again")
        assert answer is not None
        return answer_message(answer)

    def Release(self, request: wire.ReleaseRequest, context: grpc.ServicerContext) -> wire.LeaseChange:
        """End a lease: a gateway its own, an operator any."""
        peer = self._peer(context)
        self._permit(peer.role in ("gateway", "operator"), "end leases", context)
        with _Aborting(context):
            lease = self._office.allocator.release(request.lease_id, request.reason, self._office.clock(), peer.holder)
        return change_message(request.lease_id, lease)

    def Status(self, request: wire.StatusRequest, context: grpc.ServicerContext) -> wire.StatusReply:
        """The channel map."""
        self._permit(self._peer(context).role != "nobody", "see the channel map", context)
        now_s = self._office.clock()
        with _Aborting(context):
            snapshot, leases = self._office.allocator.status(now_s)
        return status_message(self._site.name, snapshot, leases, self._office.gateways.attached, now_s)

    def Explain(self, request: wire.ExplainRequest, context: grpc.ServicerContext) -> wire.ExplainReply:
        """The last decision about a device."""
        self._permit(self._peer(context).role != "nobody", "see decisions", context)
        with _Aborting(context):
            decision = self._office.allocator.explain(request.device)
        return wire.ExplainReply(decision_json=(decision or b"").decode())


class _Aborting:
    """Turns a database that is away into UNAVAILABLE for the caller."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DatabaseAway):
            self._context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


def _offer(outgoing: queue.SimpleQueue[wire.ControllerMessage], message: wire.ControllerMessage) -> None:
    """Queue a message if there is room: an agent that reads nothing loses what it would not have read, and its leases
    expire by themselves."""
    if outgoing.qsize() < WAITING_MESSAGES or message is _END:
        outgoing.put(message)
    else:
        log.warning("a message to an agent that reads nothing was dropped")


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
    """The running server."""

    def __init__(self, site: Site, service: ControllerService) -> None:
        address = site.controller.listen
        if site.tls is None and not is_loopback(address):
            raise BadInput(
                f"controller.listen is {address}: outside loopback a [tls] table is needed, or listen on 127.0.0.1"
            )
        self._server = grpc.server(
            ThreadPoolExecutor(MOST_STREAMS, thread_name_prefix="grpc"), options=[("grpc.so_reuseport", 0)]
        )
        wire_grpc.add_ControllerServicer_to_server(service, self._server)  # type: ignore[no-untyped-call]
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        try:
            port = (
                self._server.add_secure_port(address, credentials(site))
                if site.tls
                else self._server.add_insecure_port(address)
            )
        except RuntimeError:
            port = 0
        if port == 0:
            raise Failed(f"cannot listen on {address}: is another controller running there, or the port taken?")
        self.port = port

    def start(self) -> None:
        """Serve from now on."""
        self._server.start()
        self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_s: float = 0.3) -> None:
        """End all streams and calls within `grace_s`."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait(grace_s + 1.0)


def credentials(site: Site) -> Any:
    """Server credentials of a site: mutual TLS."""
    assert site.tls is not None
    try:
        with open(site.tls.key, "rb") as key, open(site.tls.certificate, "rb") as chain, open(site.tls.ca, "rb") as ca:
            return grpc.ssl_server_credentials([(key.read(), chain.read())], ca.read(), require_client_auth=True)
    except OSError as error:
        raise BadInput(f"[tls]: {error.filename} cannot be read: {error.strerror}") from None


def wall_clock_s() -> float:
    """Seconds since the epoch."""
    return time.time()
