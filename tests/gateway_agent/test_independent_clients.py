"""Clients of the field that share no line with us: PyPI's lora-mote-emulator, npm's packet-forwarder and lora-packet.

Each is installed by its own package manager into a folder of the test's; where that is not possible the test skips.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import pytest

Running = Callable[..., AbstractContextManager[Any]]

MOTE: Final = "lora-mote-emulator==1.1.0"
NODE_PACKAGES: Final = ("packet-forwarder@1.0.8", "lora-packet@0.9.3")
PATIENCE_S: Final = 60.0
INSTALL_S: Final = 180.0

KEY: Final = bytes(range(16))
EUI: Final = "00800000a0000001"
DEVICE: Final = '[[device]]\nname = "meter"\ndev_eui = "1122334455667788"\nlorawan = "{}"'


def installed(command: list[str], what: str) -> None:
    """Run a package manager; skip when it cannot install."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what} could not be installed within {INSTALL_S:.0f} s")
    if done.returncode:
        pytest.skip(f"{what} could not be installed: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}")


class Mote:
    """The emulator: one command a run, its state in a folder."""

    def __init__(self, packages: Path, folder: Path, udp: tuple[str, int], app_key: bytes, nwk_key: bytes) -> None:
        self._folder, self._packages = folder, packages
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            here = {"hostname": "127.0.0.1", "port": probe.getsockname()[1]}
        files: dict[str, Any] = {
            "config": {"dest": {"hostname": udp[0], "port": udp[1]}, "src": here, "timeout": 2, "level": "debug"},
            "gateway": {"GatewayEUI": EUI},
            "device": {"Device": {"JoinEUI": "0011223344556677", "DevEUI": "1122334455667788"},
                       "RootKeys": {"AppKey": app_key.hex(), "NwkKey": nwk_key.hex()}},
        }  # fmt: skip
        (folder / "config").mkdir()
        (folder / "models").mkdir()
        for name, value in files.items():
            (folder / "config" / f"{name}.json").write_text(json.dumps(value))

    def __call__(self, *words: str) -> str:
        """Run one command; what it printed."""
        program = "import sys; from src.__main__ import main; sys.exit(main())"
        options = ["-c", str(self._folder / "config"), "--model", str(self._folder / "models")]
        done = subprocess.run(
            [sys.executable, "-c", program, *options, *words], capture_output=True, text=True, timeout=PATIENCE_S,
            cwd=self._folder, env={**os.environ, "PYTHONPATH": str(self._packages)},
        )  # fmt: skip
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulator, beside our own environment: its package is called `src`."""
    folder = tmp_path_factory.mktemp("mote")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target"]
    installed([*pip, str(folder), MOTE], f"PyPI's {MOTE}")
    return folder


def test_the_emulator_joins_and_sends_as_the_1_1_device_that_it_is(
    agent_process: Running, packages: Path, tmp_path: Path
) -> None:
    keys = f'[1122334455667788]\napp_key = "{KEY.hex()}"\nnwk_key = "{KEY[::-1].hex()}"\n'
    with agent_process(DEVICE.format("1.1"), keys) as agent:
        mote = Mote(packages, tmp_path, agent.udp, KEY, KEY[::-1])
        mote("pull")
        said = mote("join", "-n")
        assert "MIC verified" in said
        assert "OptNeg: 1" in said
        assert "184f84e85684b85e84886684586e8400" in said, "it reads our CFList"
        mote("app", "-u", "hello")
        assert agent.counts()["uplinks"] == 1
        said = mote("app", "hello again, confirmed")
        assert "Downlink MACPayload (MIC verified)" in said
        assert "'ack': 1" in said
        # LinkCheckReq encrypted on FPort 0; margin and gateways come back
        assert "Downlink MACPayload (MIC verified)" in mote("mac", "-u", "02")
        counts = agent.counts()
        assert (counts["joins"], counts["uplinks"], counts["bad_mics"], counts["lost_uplinks"]) == (1, 3, 0, 0)


def test_halves_of_a_mic_are_refused_in_a_session_of_1_0(
    agent_process: Running, packages: Path, tmp_path: Path
) -> None:
    # after a 1.0 join the emulator goes on with 1.1's MIC, which 1.0.x does not know: refused and counted
    with agent_process(DEVICE.format("1.0.4"), f'[1122334455667788]\napp_key = "{KEY.hex()}"\n') as agent:
        mote = Mote(packages, tmp_path, agent.udp, KEY, KEY)
        mote("pull")
        said = mote("join", "-n")
        assert "MIC verified" in said
        assert "OptNeg: 0" in said
        mote("app", "-u", "hello")
        counts = agent.counts()
        assert (counts["joins"], counts["bad_mics"], counts["uplinks"]) == (1, 1, 0)


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


def test_an_independent_forwarder_and_codec_join_send_and_are_acknowledged(
    agent_process: Running, tmp_path: Path
) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("npm is not here: run tests/gateway_agent/install-tools as root, or apt-get install npm")
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    installed(
        [npm, "install", *quiet, "--prefix", str(tmp_path), *NODE_PACKAGES], "npm's " + " and ".join(NODE_PACKAGES)
    )
    with agent_process(DEVICE.format("1.0.3"), f'[1122334455667788]\napp_key = "{KEY.hex()}"\n') as agent:
        script = NODE.replace("%KEY%", KEY.hex()).replace("%PORT%", str(agent.udp[1]))
        environment = {**os.environ, "NODE_PATH": str(tmp_path / "node_modules")}
        done = subprocess.run(
            [node, "-e", script], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        assert done.stdout == "acknowledged", done.stderr
        counts = agent.counts()
        assert (counts["joins"], counts["uplinks"]) == (1, 1)
