"""Strange input: protobuf of any content, site files of any text. Clear errors, and nothing breaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_status.memory import MemoryDatabase
from controller.office import Office
from gateway_agent.wire import controller_pb2 as wire
from gateway_agent.wire import controller_pb2_grpc as wire_grpc
from spectrum.errors import BadInput
from spectrum.site_file import Site, parse_site

RunningController = Callable[..., AbstractContextManager[tuple[Site, Office]]]

int64s = st.integers(-(2**63), 2**63 - 1)
requests = st.builds(
    wire.LeaseRequest,
    request_id=st.text(max_size=200),
    device=st.text(max_size=200),
    gateway=st.text(max_size=20),
    technology=st.integers(-(2**31), 2**31 - 1),
    airtime_us=int64s,
    copies=st.integers(0, 2**32 - 1),
    keeps_time=st.booleans(),
    delay_us=int64s,
)
messages = st.builds(
    wire.AgentMessage,
    requests=st.lists(requests, max_size=3),
    confirmed=st.lists(st.text(max_size=50), max_size=3),
    renewals=st.lists(st.builds(wire.RenewRequest, lease_id=st.text(max_size=50), end_us=int64s), max_size=3),
    releases=st.lists(st.builds(wire.ReleaseRequest, lease_id=st.text(max_size=50), reason=st.text()), max_size=3),
    uplinks=st.lists(st.builds(wire.Uplink, device=st.text(), at_us=int64s, rssi_dbm=st.floats(width=32)), max_size=3),
    heartbeat=st.builds(wire.Heartbeat, at_us=int64s),
)


def test_a_stream_survives_any_message(running_controller: RunningController) -> None:
    with running_controller(MemoryDatabase()) as (site, _), grpc.insecure_channel(site.controller.listen) as channel:
        stub = wire_grpc.ControllerStub(channel)

        @given(st.lists(messages, min_size=1, max_size=4))
        @settings(max_examples=40, deadline=None)
        def stream(sent: list[wire.AgentMessage]) -> None:
            register = wire.AgentMessage(register=wire.Register(gateway="gw", site="s"))
            asked = [r.request_id for message in sent for r in message.requests]
            answered: list[str] = []
            for message in stub.Attach(iter([register, *sent, *still_there()]), timeout=30):
                answered += [answer.request_id for answer in message.answers]
                if len(answered) >= len(asked) and message.HasField("heartbeat"):
                    break
            assert set(answered) <= set(asked)

        stream()
        assert stub.Status(wire.StatusRequest(), timeout=20).site == "s"


def still_there() -> list[wire.AgentMessage]:
    """A last heartbeat: its answer says that all before it was heard."""
    return [wire.AgentMessage(heartbeat=wire.Heartbeat(at_us=1))]


def test_bytes_that_are_no_message_are_an_error_of_that_call(running_controller: RunningController) -> None:
    with running_controller(MemoryDatabase()) as (site, _), grpc.insecure_channel(site.controller.listen) as channel:
        for method in ("Allocate", "Release", "Explain"):
            raw = channel.unary_unary(f"/airshed.v1.Controller/{method}", lambda data: data, lambda data: data)
            with pytest.raises(grpc.RpcError):
                raw(b"\xff\xff\xff\xff", timeout=20)
        status = wire_grpc.ControllerStub(channel).Status(wire.StatusRequest(), timeout=20)
        assert status.site == "s"


@given(requests)
@settings(max_examples=60, deadline=None)
def test_an_allocator_answers_any_request(request: wire.LeaseRequest) -> None:
    from controller.allocator import Allocator
    from controller.codec import answer_message, ask_of

    site = parse_site('[site]\nname = "s"', "x")
    allocator = Allocator(site, MemoryDatabase())
    try:
        ask = ask_of(request, "gw")
    except BadInput:
        return
    (answer,) = allocator.answer([ask], time.time())
    assert bool(answer.leases) != (answer.refusal is not None)
    answer_message(answer)


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_site_or_one_clear_line(text: str) -> None:
    try:
        parse_site(text, "fuzz.toml")
    except BadInput as error:
        assert str(error).startswith("fuzz.toml: ")


tables = st.dictionaries(
    st.sampled_from(["name", "url", "policy", "attempts", "source", "rate_hz", "listen", "devices", "x"]),
    st.one_of(st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False), st.just('"a"'), st.just("true")),
    max_size=5,
)


@given(
    st.dictionaries(st.sampled_from(["site", "database", "controller", "[sensor]", "[gateway]", "tls", "y"]), tables)
)
@settings(max_examples=200, deadline=None)
def test_wrong_values_in_known_tables_are_named(tree: dict[str, dict[str, object]]) -> None:
    lines = []
    for table, values in tree.items():
        lines += [f"[{table}]", *(f"{key} = {value}" for key, value in values.items())]
    try:
        parse_site("\n".join(lines), "fuzz.toml")
    except BadInput as error:
        assert str(error).startswith("fuzz.toml: ")
