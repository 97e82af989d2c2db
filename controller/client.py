"""A client of the controller for the command line: one short connection, answers as plain values."""

from __future__ import annotations

import json
import uuid
from typing import Any, Final, Self

import grpc
from google.protobuf.json_format import MessageToDict

from gateway_agent.controller_link import channel_to
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.errors import BadInput, Failed
from spectrum.site_file import Site

TIMEOUT_S: Final = 5.0


class ControllerClient:
    """Unary calls to the controller of a site; Failed when it does not answer."""

    def __init__(self, site: Site) -> None:
        self._address = site.controller.listen
        self._channel = channel_to(site)
        self._stub = wire_grpc.ControllerStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def status(self) -> dict[str, Any]:
        """The channel map: site, gateways, subchannels[], leases[]."""
        reply = self._call(self._stub.Status, wire.StatusRequest())
        found = _plain(reply)
        return {key: found.get(key, []) for key in ("site", "gateways", "subchannels", "leases")}

    def allocate(self, device: str, technology: str, airtime_s: float, *, keeps_time: bool) -> dict[str, Any]:
        """The leases for one packet, or the refusal."""
        request = wire.LeaseRequest(
            request_id=uuid.uuid4().hex,
            device=device,
            gateway="command-line",
            technology=wire.LORA if technology == "lora" else wire.SIGFOX,
            airtime_us=round(airtime_s * 1e6),
            copies=1 if technology == "lora" else 3,
            keeps_time=keeps_time,
        )
        answer = self._call(self._stub.Allocate, request)
        plain = _plain(answer)
        if not answer.HasField("refusal"):
            plain.pop("refusal", None)
        return plain

    def explain(self, device: str) -> dict[str, Any]:
        """The last decision about a device; BadInput when none is known."""
        reply = self._call(self._stub.Explain, wire.ExplainRequest(device=device))
        if not reply.decision_json:
            raise BadInput(f"no decision about {device!r} is known: has it asked for a subchannel at this site?")
        decision: dict[str, Any] = json.loads(reply.decision_json)
        return decision

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            detail = error.details() if isinstance(error, grpc.Call) else str(error)
            if isinstance(error, grpc.Call) and error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                raise BadInput(str(detail)) from None
            raise Failed(f"no answer from the controller at {self._address}: {detail}") from None


def _plain(message: Any) -> dict[str, Any]:
    """A message as JSON values; 64-bit integers as numbers, since all of ours fit in 53 bits."""
    plain: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    numbers: dict[str, Any] = _numbers(plain)
    return numbers


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: int(item) if isinstance(item, str) and key.endswith(("_us", "_hz")) else _numbers(item)
            for key, item in value.items()
        }
    return [_numbers(item) for item in value] if isinstance(value, list) else value
