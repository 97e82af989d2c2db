"""A site whose gateways and controller are hosts of their own behind one switch, all on this machine."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from controller.certificates import make_certificates
from spectrum.errors import Failed
from testbed.network import Network, inside
from testbed.network import objection as network_objection
from testbed.openvswitch import OpenVSwitch
from testbed.openvswitch import objection as switch_objection

# The backhaul, and the cable between controller and switch that carries OpenFlow.
CONTROLLER_IP: Final = "10.77.0.1"
OPENFLOW_IP: Final = "10.78.0.1"
SWITCH_IP: Final = "10.78.0.2"
GRPC_PORT: Final = 50868
OPENFLOW_PORT: Final = 6653
REDIS_PORT: Final = 6379
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
    mac: str
    device: str
    port: int


class BackhaulSite:
    """Switch, controller and every host in namespaces of their own, so that only the switch joins them.

    Were the switch's ports in the controller's namespace, its kernel would answer hosts itself, past the switch.
    OpenFlow has a cable of its own, and TLS. Leaving the `with` block ends the switch and removes the namespaces.
    `hosts`: `gateways` and then `sensors`, at the ports 2, 3, ... and the addresses 10.77.0.2, 10.77.0.3, ...
    """

    def __init__(self, folder: Path, gateways: Sequence[str], sensors: Sequence[str] = ()) -> None:
        self.folder = folder
        self._names = (*gateways, *sensors)
        self._sensors = sensors
        self._stack = ExitStack()
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.network = stack.enter_context(Network())
            self.namespace = self.network.host("controller")
            self.switch_namespace = self.network.host("switch")
            self.switch = stack.enter_context(OpenVSwitch(self.folder, self.switch_namespace))
            self.switch.bridge(BRIDGE, DPID)
            self._join()
            for number, name in enumerate(self._names, start=UPLINK + 1):
                self._plug_in(name, number)
            self._stack = stack.pop_all()
        return self

    def _join(self) -> None:
        self.uplink_device = self.network.cable(self.switch_namespace, self.namespace, f"{CONTROLLER_IP}/24")
        self.switch.port(BRIDGE, self.uplink_device, UPLINK)
        near = self.network.cable(self.namespace, self.switch_namespace, f"{SWITCH_IP}/24", "openflow")
        self.network.within(self.namespace, ["ip", "address", "add", f"{OPENFLOW_IP}/24", "dev", near])

    def _plug_in(self, name: str, number: int) -> None:
        namespace, ip = self.network.host(name), f"10.77.0.{number}"
        device = self.network.cable(self.switch_namespace, namespace, f"{ip}/24")
        self.switch.port(BRIDGE, device, number)
        mac = self.network.within(namespace, ["cat", "/sys/class/net/eth0/address"]).strip()
        self.hosts[name] = Host(name, namespace, ip, mac, device, number)

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
        self.network.within(self.switch_namespace, ["ip", "link", "set", self.hosts[name].device, state])

    def move(self, name: str, port: int) -> None:
        """Plug a host's cable into another port of the switch."""
        device = self.hosts[name].device
        self.switch.vsctl(["del-port", BRIDGE, device])
        self.switch.port(BRIDGE, device, port)

    def certificates(self, gateways: Sequence[str]) -> Path:
        """Keys of the controller, of each gateway and of the switch, which dials from now on; returns their folder."""
        folder = self.folder / "tls"
        make_certificates(folder, (CONTROLLER_IP,), [*gateways, BRIDGE], (), dt.datetime.now(dt.UTC))
        keys = [str(folder / name) for name in (f"gateway-{BRIDGE}.key", f"gateway-{BRIDGE}.pem", "ca.pem")]
        self.switch.vsctl(["set-ssl", *keys])
        self.switch.dial(BRIDGE, f"ssl:{OPENFLOW_IP}:{OPENFLOW_PORT}")
        return folder

    @contextmanager
    def database(self, url: str, tls: Path) -> Iterator[None]:
        """Let hosts reach the Redis on a unix socket (`url`) at the controller's address, see `database_url`."""
        own = [str(tls / name) for name in ("ca.pem", "controller.pem", "controller.key")]
        address = [CONTROLLER_IP, str(REDIS_PORT), url.removeprefix("unix://")]
        command = [*self.inside("controller"), sys.executable, "-m", "testbed.tls_relay", *address, *own]
        # from where this is imported, which need not be where it was started
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        relay = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert relay.stdout is not None
            if relay.stdout.readline() != "up\n":
                raise Failed(f"nothing can listen on {CONTROLLER_IP}:{REDIS_PORT} in the controller's namespace")
            yield
        finally:
            relay.kill()
            relay.communicate()

    def database_url(self, tls: Path, holder: str) -> str:
        """The URL of that database for a host, with its certificate."""
        keys = {
            "ssl_ca_certs": "ca.pem",
            "ssl_certfile": f"gateway-{holder}.pem",
            "ssl_keyfile": f"gateway-{holder}.key",
        }
        query = "&".join(f"{option}={tls / name}" for option, name in keys.items())
        return f"rediss://{CONTROLLER_IP}:{REDIS_PORT}?{query}"

    def control_packets(self) -> dict[str, int]:
        """Packets of each host that the switch has let through as control traffic."""
        flows = self.switch.ofctl(["dump-flows", BRIDGE]).splitlines()
        control = [line for line in flows if "priority=300," in line]
        return {
            host.name: sum(int(line.split("n_packets=")[1].split(",")[0]) for line in control if f"={host.ip}," in line)
            for host in self.hosts.values()
        }

    def tables(self, tls: Path, holder: str, backhaul: Mapping[str, object] = MappingProxyType({})) -> str:
        """The tables of the site file that make it run here, for the controller or for one gateway (`holder`).

        backhaul: what is to stand in [backhaul] besides, or otherwise.
        """
        settings = {"listen": f"{OPENFLOW_IP}:{OPENFLOW_PORT}", "poll_s": 1.0, **backhaul}
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
        hosts = (self.hosts[name] for name in self._sensors)
        fixed = "".join(
            f"""
[[backhaul.host]]
name = "{host.name}"
switch = "{BRIDGE}"
port = {host.port}
mac = "{host.mac}"
address = "{host.ip}"
"""
            for host in hosts
        )
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
{fixed}"""
