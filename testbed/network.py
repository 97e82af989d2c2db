"""Hosts on one machine: network namespaces joined by veth pairs, all removed at the end. Needs root and `ip`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from spectrum.errors import Failed

COMMAND_TIMEOUT_S: Final = 10.0

# A veth leaves TCP's checksums to hardware that is not there, and a switch in user space forwards what it is given:
# have the kernel compute them. ETHTOOL_STXCSUM (0x17) through SIOCETHTOOL (0x8946), linux/ethtool.h, linux/sockios.h.
_CHECKSUM: Final = """
import array, fcntl, socket, struct, sys
value = array.array("I", [0x17, 0])
request = struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    fcntl.ioctl(probe, 0x8946, request)
"""


def objection() -> str:
    """Why this machine can have no namespaces, empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need the command ip (Debian package iproute2)"
    probe = f"abh{uuid.uuid4().hex[:8]}"
    tried = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    run(["ip", "netns", "del", probe])
    return ""


def run(command: Sequence[str]) -> str:
    """Run a command and return what it said; Failed when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Network:
    """Namespaces under names of their own, so that several networks stand side by side."""

    def __init__(self) -> None:
        self._tag = uuid.uuid4().hex[:6]
        self._namespaces: list[str] = []
        self._links = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for namespace in self._namespaces:
            with suppress(Failed, subprocess.TimeoutExpired):  # the others are to go as well
                run(["ip", "netns", "del", namespace])

    def host(self, name: str) -> str:
        """A new namespace with its loopback up; returns its full name."""
        namespace = f"abh{self._tag}-{name}"
        run(["ip", "netns", "add", namespace])
        self._namespaces.append(namespace)
        self.within(namespace, ["ip", "link", "set", "lo", "up"])
        self.within(namespace, ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
        return namespace

    def within(self, namespace: str, command: Sequence[str]) -> str:
        """Run a command in a namespace."""
        return run([*inside(namespace), *command])

    def cable(self, switch: str, host: str, address: str, device: str = "eth0") -> str:
        """A veth pair between two namespaces, with `address` (CIDR) at the host; returns the switch's end."""
        self._links += 1
        port, other = f"p{self._links}", f"h{self._tag}{self._links}"
        run(["ip", "link", "add", port, "netns", switch, "type", "veth", "peer", "name", other, "netns", switch])
        if host != switch:
            self.within(switch, ["ip", "link", "set", other, "netns", host])
        self.within(host, ["ip", "link", "set", other, "name", device])
        self.within(host, ["ip", "address", "add", address, "dev", device])
        self.within(host, [sys.executable, "-I", "-S", "-c", _CHECKSUM, device])
        for namespace, end in ((host, device), (switch, port)):
            self.within(namespace, ["ip", "link", "set", end, "up"])
        return port


def inside(namespace: str) -> list[str]:
    """What a command begins with to run in a namespace."""
    return ["ip", "netns", "exec", namespace]
