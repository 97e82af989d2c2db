"""`airshed agent` as a process: a controller, a packet forwarder of others, a device that joins and is heard."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from channel_status.embedded import private_server
from channel_status.redis_door import connect
from testbed.lorawan_device import LorawanDevice
from testbed.packet_forwarder import VirtualForwarder

KEY: Final = bytes(range(16))
PATIENCE_S: Final = 60.0
EUI: Final = bytes.fromhex("00800000a0000001")


def free_port(kind: socket.SocketKind) -> int:
    """A port on loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningAgent:
    """An `airshed agent` process: where forwarders send to, where its health is, what it captured."""

    def __init__(self, folder: Path) -> None:
        self.udp = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
        self.health = f"http://127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        self.capture = folder / "air.pcap"
        self.folder = folder

    def site_toml(self) -> str:
        """Its site: no controller runs, and the agent serves its devices all the same."""
        return f"""[site]
name = "command"
[controller]
listen = "127.0.0.1:{free_port(socket.SOCK_STREAM)}"
[[gateway]]
name = "gw"
radio = "semtech-udp"
health_listen = "{self.health.removeprefix("http://")}"
[gateway.lorawan]
udp_listen = "127.0.0.1:{self.udp[1]}"
[[device]]
name = "meter"
dev_eui = "1122334455667788"
"""

    def counts(self) -> dict[str, float]:
        """What it has counted so far."""
        with urllib.request.urlopen(f"{self.health}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        found = [line.split('"') for line in lines if line.startswith("airshed_agent_events_total")]
        return {name: float(value.removeprefix("} ")) for _, name, value in found}


@contextmanager
def agent_process(folder: Path) -> Iterator[RunningAgent]:
    """Run the command until the block ends; it must then end by itself, and well."""
    agent = RunningAgent(folder)
    site, keys = folder / "site.toml", folder / "keys.toml"
    site.write_text(agent.site_toml())
    keys.write_text(f'[1122334455667788]\napp_key = "{KEY.hex()}"\n')
    keys.chmod(0o600)
    with ExitStack() as stack:
        url = stack.enter_context(private_server())
        environment = {**os.environ, "REDIS_URL": url, "AIRSHED_LORAWAN_KEYS": str(keys)}
        command = [sys.executable, "-m", "airshed", "agent", str(site), "--capture", str(agent.capture)]
        log = stack.enter_context((folder / "log").open("w+"))
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                try:
                    agent.counts()
                    break
                except OSError:
                    time.sleep(0.05)
            yield agent
            database = connect(url)
            kept = b"".join(database.get("command", "lorawan-session").values())
            database.close()
            assert KEY.hex().encode() not in kept
        finally:
            process.terminate()
            assert process.wait(20) == 0
        assert KEY.hex() not in (folder / "log").read_text(), "no key in the log"


def until(true: Callable[[], Any]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_a_device_joins_and_is_heard_and_everything_is_captured(tmp_path: Path) -> None:
    with agent_process(tmp_path) as agent:
        forwarder = VirtualForwarder(agent.udp, EUI, time.monotonic)
        device = LorawanDevice(0x1122334455667788, KEY, Random(3))
        forwarder.pull()
        request = device.join()
        forwarder.push(request.frame, request.center_hz, request.datr)
        until(lambda: any(device.hear(transmit.frame) for transmit in forwarder.poll(0.1)))
        sent = device.send(b"hello", confirmed=True)
        forwarder.push(sent.frame, sent.center_hz, sent.datr)
        until(lambda: any(device.hear(transmit.frame) for transmit in forwarder.poll(0.1)))
        assert device.acknowledged
        assert agent.counts()["uplinks"] == 1
        with pytest.raises(OSError, match="503") as error:
            urllib.request.urlopen(f"{agent.health}/health")
        assert json.load(error.value)["state"] in ("connecting", "offline")  # type: ignore[arg-type]
        error.value.close()  # type: ignore[attr-defined]
        forwarder.close()
    assert agent.capture.stat().st_size > 24 + 6 * 44


def test_an_independent_device_joins(tmp_path: Path) -> None:
    # its data frames carry LoRaWAN 1.1's halved MIC even after a 1.0 join: those have to be refused, and counted
    program = shutil.which("mote", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if program is None:
        pytest.skip("PyPI's lora-mote-emulator is not installed")
    with agent_process(tmp_path) as agent:
        config = tmp_path / "config"
        config.mkdir()
        here = {"hostname": "127.0.0.1", "port": free_port(socket.SOCK_DGRAM)}
        files: dict[str, Any] = {
            "config": {"dest": {"hostname": agent.udp[0], "port": agent.udp[1]}, "src": here, "timeout": 4,
                       "level": "debug"},
            "gateway": {"GatewayEUI": EUI.hex()},
            "device": {"Device": {"JoinEUI": "00" * 8, "DevEUI": "1122334455667788"},
                       "RootKeys": {"AppKey": KEY.hex(), "NwkKey": KEY.hex()}},
        }  # fmt: skip
        for name, value in files.items():
            (config / f"{name}.json").write_text(json.dumps(value))
        (tmp_path / "models").mkdir()

        def mote(*words: str) -> str:
            command = [program, "-c", str(config), "--model", str(tmp_path / "models"), *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=tmp_path)
            return done.stdout + done.stderr

        mote("pull")
        said = mote("join", "-n")
        assert "MIC verified" in said
        assert "184f84e85684b85e84886684586e8400" in said, "it reads our CFList"
        mote("app", "-u", "hello")
        until(lambda: agent.counts().get("bad_mics") == 1)
        assert agent.counts()["joins"] == 1


NODE: Final = """
const PacketForwarder = require('packet-forwarder'), lora = require('lora-packet')
const key = Buffer.from('%KEY%', 'hex'), nonce = Buffer.from('1234', 'hex')
const gateway = '00800000a0000001'
const forwarder = new PacketForwarder({gateway, target: '127.0.0.1', port: %PORT%})
const push = packet => forwarder.sendUplink({rxpk: [{tmst: 1000, freq: 868.3, chan: 0, rfch: 0, stat: 1, modu: 'LORA',
  datr: 'SF7BW125', codr: '4/5', rssi: -80, lsnr: 7, size: packet.getPHYPayload().length,
  data: packet.getPHYPayload().toString('base64')}]})
const reversed = bytes => Buffer.from(bytes).reverse()
let joined
forwarder.on('message', message => {
  if (message[3] !== 3) return
  const frame = Buffer.from(JSON.parse(message.slice(4)).txpk.data, 'base64')
  if (!joined) {
    const plain = lora.decryptJoinAccept(lora.fromWire(frame), key)
    const [joinNonce, netId, address] = [[1, 4], [4, 7], [7, 11]].map(([from, to]) => reversed(plain.slice(from, to)))
    joined = lora.generateSessionKeys10(key, netId, joinNonce, nonce)
    push(lora.fromFields({MType: 'Confirmed Data Up', DevAddr: address, FCnt: 0, FPort: 3, payload: 'hello',
      FCtrl: {ADR: true}}, joined.AppSKey, joined.NwkSKey))
  } else {
    const answer = lora.fromWire(frame)
    const right = lora.verifyMIC(answer, joined.NwkSKey) && answer.getFCtrlACK()
    process.stdout.write(right ? 'acknowledged' : 'wrong')
    process.exit(0)
  }
})
const pull = Buffer.concat([Buffer.from([2, 0, 0, 2]), Buffer.from(gateway, 'hex')])
forwarder.socket.send(pull, %PORT%, '127.0.0.1', () => push(lora.fromFields({MType: 'Join Request',
  AppEUI: Buffer.alloc(8), DevEUI: Buffer.from('1122334455667788', 'hex'), DevNonce: nonce}, null, null, key)))
"""


def test_an_independent_forwarder_and_codec_join_send_and_are_acknowledged(tmp_path: Path) -> None:
    node, modules = shutil.which("node"), os.environ.get("AIRSHED_NODE_MODULES")
    if node is None or modules is None:
        pytest.skip("name a folder with npm's packet-forwarder and lora-packet in AIRSHED_NODE_MODULES")
    with agent_process(tmp_path) as agent:
        script = NODE.replace("%KEY%", KEY.hex()).replace("%PORT%", str(agent.udp[1]))
        environment = {**os.environ, "NODE_PATH": modules}
        done = subprocess.run(
            [node, "-e", script], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        assert done.stdout == "acknowledged", done.stderr
        counts = agent.counts()
        assert (counts["joins"], counts["uplinks"]) == (1, 1)
