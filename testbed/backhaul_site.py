"""A site whose gateways and controller are hosts of their own behind one switch, all on this machine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from controller.certificates import make_certificates
from testbed.network import Network, inside
from testbed.network import objection as network_objection
from testbed.openvswitch import OpenVSwitch
from testbed.openvswitch import objection as switch_objection

CONTROLLER_IP: Final = "10.77.0.1"
GRPC_PORT: Final = 50868
OPENFLOW_PORT: Final = 6653
BRIDGE: Final = "backhaul"
DPID: Final = 1
UPLINK: Final = 1


def objection() -> str:
    """Why this machine cannot have a backhaul, empty when it can."""
    return switch_objection() or network_objection()


@dataclass(frozen=True, slots=True)
class Host:
    """One host on the backhaul: the switch's end of its cable is `device`, plugged into `port`."""

    name: str
    namespace: str
    ip: str
    device: str
    port: int


class BackhaulSite:
    """The switch and the controller share a namespace (OpenFlow stays on its loopback); each host has its own.

    Leaving the `with` block ends the switch and removes the namespaces. `hosts`: gateways and others, in the order of
    their ports 2, 3, ... and addresses 10.77.0.2, 10.77.0.3, ...
    """

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        self.folder = folder
        self._names = hosts
        self._stack = ExitStack()
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.network = stack.enter_context(Network())
            self.namespace = self.network.host("controller")
            self.switch = stack.enter_context(OpenVSwitch(self.folder, self.namespace))
            self.switch.bridge(BRIDGE, DPID, f"tcp:127.0.0.1:{OPENFLOW_PORT}")
            uplink = self.network.cable(self.namespace, self.namespace, f"{CONTROLLER_IP}/24", "uplink")
            self.switch.port(BRIDGE, uplink, UPLINK)
            for number, name in enumerate(self._names, start=UPLINK + 1):
                self._plug_in(name, number)
            self._stack = stack.pop_all()
        return self

    def _plug_in(self, name: str, number: int) -> None:
        namespace, ip = self.network.host(name), f"10.77.0.{number}"
        device = self.network.cable(self.namespace, namespace, f"{ip}/24")
        self.switch.port(BRIDGE, device, number)
        self.hosts[name] = Host(name, namespace, ip, device, number)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def inside(self, name: str) -> list[str]:
        """What a command begins with to run on a host; the controller's when the name is `controller`."""
        return inside(self.namespace if name == "controller" else self.hosts[name].namespace)

    def cut(self, name: str) -> None:
        """Pull a host's cable."""
        self._set_link(name, "down")

    def mend(self, name: str) -> None:
        """Plug it in again."""
        self._set_link(name, "up")

    def _set_link(self, name: str, state: str) -> None:
        self.network.within(self.namespace, ["ip", "link", "set", self.hosts[name].device, state])

    def move(self, name: str, port: int) -> None:
        """Plug a host's cable into another port of the switch."""
        device = self.hosts[name].device
        self.switch.vsctl(["del-port", BRIDGE, device])
        self.switch.port(BRIDGE, device, port)

    def certificates(self, gateways: Sequence[str]) -> Path:
        """Keys of the controller and of each gateway; returns their folder."""
        folder = self.folder / "tls"
        make_certificates(folder, (CONTROLLER_IP,), gateways, (), dt.datetime.now(dt.UTC))
        return folder

    def tables(self, tls: Path, holder: str, backhaul: Mapping[str, object] = MappingProxyType({})) -> str:
        """The tables of the site file that make it run here, for the controller or for one gateway (`holder`).

        backhaul: what is to stand in [backhaul] besides, or otherwise.
        """
        settings = {"listen": f"127.0.0.1:{OPENFLOW_PORT}", "poll_s": 1.0, **backhaul}
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
        return f"""
[tls]
ca = "{tls}/ca.pem"
certificate = "{tls}/{holder}.pem"
key = "{tls}/{holder}.key"

[backhaul]
{lines}

[[backhaul.switch]]
name = "{BRIDGE}"
dpid = {DPID}
uplink = {UPLINK}
"""
