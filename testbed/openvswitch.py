"""Open vSwitch in user space, for tests and the demo: a database and a switch daemon of one's own in a private folder.

The binaries are those of $AIRSHED_OVS (a folder made by tests/controller/backhaul/install-openvswitch), else those of
the system. No service of the system is used or touched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from spectrum.errors import Failed
from testbed.network import inside, run

START_TIMEOUT_S: Final = 10.0
_SEARCHED: Final = ("usr/bin", "usr/sbin", "usr/lib/openvswitch-switch")
_SCHEMA: Final = "usr/share/openvswitch/vswitch.ovsschema"


def prefix() -> Path | None:
    """The root below which Open vSwitch is installed, None when it is not."""
    named = os.environ.get("AIRSHED_OVS")
    beside = Path(__file__).parent.parent / ".openvswitch"
    for root in (Path(named) if named else beside, Path("/")):
        if (root / _SCHEMA).exists():
            return root
    return None


def objection() -> str:
    """Why there is no Open vSwitch, empty when there is."""
    if prefix() is None:
        return "Open vSwitch is not installed: run tests/controller/backhaul/install-openvswitch .openvswitch"
    return ""


class OpenVSwitch:
    """One switch in a namespace; leaving the `with` block ends its two processes."""

    def __init__(self, folder: Path, namespace: str) -> None:
        root = prefix()
        if root is None:
            raise Failed(objection())
        self._root = root
        self._folder = folder
        self._namespace = namespace
        self._processes: list[subprocess.Popen[bytes]] = []
        self._database = f"unix:{folder}/db.sock"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _binary(self, name: str) -> str:
        for folder in _SEARCHED:
            if (self._root / folder / name).exists():
                return str(self._root / folder / name)
        raise Failed(f"Open vSwitch below {self._root} has no {name}")

    def _environment(self) -> dict[str, str]:
        libraries = [str(self._root / "usr/lib/x86_64-linux-gnu"), str(self._root / "usr/lib/aarch64-linux-gnu")]
        own = {} if self._root == Path("/") else {"LD_LIBRARY_PATH": ":".join(libraries)}
        folders = {name: str(self._folder) for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")}
        return {**os.environ, **own, **folders}

    def _start(self) -> None:
        self._call("ovsdb-tool", ["create", f"{self._folder}/conf.db", str(self._root / _SCHEMA)])
        self._spawn("ovsdb-server", [f"{self._folder}/conf.db", f"--remote=punix:{self._folder}/db.sock",
                                     f"--unixctl={self._folder}/db.ctl"])  # fmt: skip
        self._await(self._folder / "db.sock")
        self.vsctl(["--no-wait", "init"])
        self._spawn("ovs-vswitchd", [self._database, f"--unixctl={self._folder}/switch.ctl", "--disable-system"])
        self._await(self._folder / "switch.ctl")

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        command = [*inside(self._namespace), self._binary(name), *arguments, "-vconsole:off", "-vsyslog:off",
                   f"--log-file={self._folder}/{name}.log"]  # fmt: skip
        environment = self._environment()
        nothing = subprocess.DEVNULL
        self._processes.append(
            subprocess.Popen(command, env=environment, stdin=nothing, stdout=nothing, stderr=nothing)
        )

    def _await(self, path: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not path.exists():
            if time.monotonic() > deadline:
                raise Failed(f"Open vSwitch did not come up within {START_TIMEOUT_S:g} s: see {self._folder}")
            time.sleep(0.02)

    def _call(self, name: str, arguments: Sequence[str]) -> str:
        settings = [f"{key}={value}" for key, value in self._environment().items() if key.startswith(("OVS_", "LD_"))]
        return run([*inside(self._namespace), "env", *settings, self._binary(name), *arguments])

    def vsctl(self, arguments: Sequence[str]) -> str:
        """Configure the switch."""
        return self._call("ovs-vsctl", [f"--db={self._database}", "--timeout=8", *arguments])

    def ofctl(self, arguments: Sequence[str]) -> str:
        """Look at a bridge as an OpenFlow controller would."""
        command, bridge, *rest = arguments
        return self._call("ovs-ofctl", ["-OOpenFlow13", command, f"unix:{self._folder}/{bridge}.mgmt", *rest])

    def appctl(self, arguments: Sequence[str]) -> str:
        """Ask the switch daemon itself, for instance where a packet would go (`ofproto/trace`)."""
        return self._call("ovs-appctl", ["-t", f"{self._folder}/switch.ctl", *arguments])

    def bridge(self, name: str, dpid: int) -> None:
        """A bridge that holds what it has while its controller is away."""
        self.vsctl(["add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "protocols=OpenFlow13",
                    f"other-config:datapath-id={dpid:016x}", "fail_mode=secure",
                    "other-config:disable-in-band=true"])  # fmt: skip

    def dial(self, bridge: str, controller: str) -> None:
        """Have a bridge dial its controller (`tcp:ADDRESS:PORT`, or `ssl:` after `set-ssl`) once a second."""
        self.vsctl(["set-controller", bridge, controller, "--", "set", "controller", bridge,
                    "connection_mode=out-of-band", "max_backoff=1000"])  # fmt: skip

    def port(self, bridge: str, device: str, number: int, *, internal: bool = False) -> None:
        """Plug a device into a bridge; an internal one is made by that."""
        kind = ["type=internal"] if internal else []
        self.vsctl(["add-port", bridge, device, "--", "set", "interface", device, f"ofport_request={number}", *kind])

    def queues(self, device: str, count: int) -> None:
        """Give a port the queues 0, 1, ...: in user space they are told of and counted, and shape nothing."""
        rate = "other-config:max-rate=1000000000"
        made = [word for number in range(count) for word in ("--", f"--id=@q{number}", "create", "queue", rate)]
        table = ",".join(f"{number}=@q{number}" for number in range(count))
        self.vsctl(["set", "port", device, "qos=@all", "--", "--id=@all", "create", "qos", "type=linux-htb",
                    f"queues={table}", *made])  # fmt: skip

    def stop(self) -> None:
        """End both processes, the switch first."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(3.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
