"""A console over either door of the database, with a site that something happened at."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from fastapi.testclient import TestClient

from channel_status import records
from channel_status.memory import MemoryDatabase
from channel_status.protocol import ChannelStatusDatabase
from console.desk import ConsoleDesk
from console.feed import Hub
from console.login import Login
from console.reader import Reader
from console.views import every_subchannel
from console.web_door import console_app
from controller.allocator import Allocator
from controller.passwords import hash_password
from controller.requests import Ask
from controller.users import add_user, set_password
from sensing.source import Tuning
from sensing.waterfall import Air, Waterfall
from spectrum.report import ChannelReport
from spectrum.site_file import ConsoleTable, Site, parse_site

TOML: Final = """
[site]
name = "s"
origin = [48.1, 11.5]
[controller]
horizon_s = 1.0
[[sensor]]
name = "roof"
position_m = [0.0, 0.0]
[[sensor]]
name = "gate"
position_m = [200.0, 0.0]
[[sensor]]
name = "yard"
position_m = [0.0, 300.0]
[[gateway]]
name = "gw-1"
position_m = [10.0, 20.0]
[[device]]
name = "meter"
dev_eui = "1122334455667788"
position_m = [50.0, 60.0]
"""

PASSWORD: Final = "correct horse battery"
BINS: Final = 48


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Made once: it is slow on purpose."""
    return hash_password(PASSWORD)


class Scene:
    """What happens at the site, at times around now."""

    def __init__(self, database: ChannelStatusDatabase, site: Site) -> None:
        self.database, self.site = database, site
        self.now_s: float | None = None  # set while the past is written
        self.cells = every_subchannel(site)
        self.allocator = Allocator(site, database)
        self._waterfalls = {
            sensor.name: Waterfall(sensor.name, Tuning(868.0125e6, 2.4e6), BINS) for sensor in site.sensor
        }

    def report(self, sensor: str, time_s: float, cell: Any, energy_dbfs: float) -> ChannelReport:
        """One interval of a sensor on a subchannel; busy above -39 dBFS."""
        busy = energy_dbfs >= -39.0
        return ChannelReport(
            sensor, time_s, 0.01, cell.center_hz, cell.bandwidth_hz, energy_dbfs, -41.0, -39.0,
            energy_dbfs + 41.0 if busy else None, 0.2, 0.1, busy, 0.9 if busy else 0.05, 0.1, 0.04, 0.95, 0.21,
            signal_snr_db=3.0,
        )  # fmt: skip

    def sense(self, time_s: float | None = None, loud_hz: float | None = None) -> None:
        """Every sensor reports on every subchannel; one of them is loud, the roof's hears it best."""
        at_s = time.time() - 0.02 if time_s is None else time_s
        for number, sensor in enumerate(self.site.sensor):
            self.database.publish(
                "s",
                [
                    self.report(sensor.name, at_s, cell, -20.0 - 5 * number if cell.center_hz == loud_hz else -45.0)
                    for cell in self.cells
                ],
            )

    def waterfall(self, from_s: float, to_s: float, loud_hz: float, loud: Callable[[float], bool]) -> None:
        """Rows of the roof's sensor as its daemon writes them, with one subchannel loud at times."""
        import numpy as np

        sensor, time_s = "roof", from_s
        while time_s < to_s:
            is_loud = loud(time_s)
            bins = np.full((1, BINS), 1e-5)
            if is_loud:
                bins[0, 30] = 1e-2
            told = self._waterfalls[sensor].see(Air(np.array([time_s]), bins, np.array([0.001])))
            reports = [
                self.report(sensor, time_s, cell, -20.0 if is_loud and cell.center_hz == loud_hz else -45.0)
                for cell in self.cells[:6]
            ]
            told += self._waterfalls[sensor].judge(reports)
            self.now_s = time_s + 0.1
            for stream, row in told:
                self.database.append("s", f"{stream}:{sensor}", [row])
            time_s += 0.1
        self.now_s = None

    def grant(self, device: str, airtime_s: float = 30.0, technology: Any = "lora") -> Any:
        """One lease on the air; the answer's first."""
        now_s = time.time()
        ask = Ask(f"{device}-{now_s:.6f}", device, "gw-1", technology, airtime_s)
        (answer,) = self.allocator.answer([ask], now_s)
        assert answer.leases, answer
        return answer.leases[0]

    def hear(self, device: str, time_s: float) -> None:
        """An uplink through the gateway."""
        uplink = {"device": device, "time_s": time_s, "gateway": "gw-1", "subchannel_hz": 868.1e6}
        self.database.append("s", "uplinks", [records.encode(uplink)])

    def watch(self, device: str, **changed: Any) -> None:
        """KPIs as monitoring keeps them."""
        application = {
            "period_s": 60.0, "phase_s": 1.0, "received": 95, "missed": 5, "outage": 0.05, "outage_ci95": [0.02, 0.11],
            "offline": False, "offline_probability": 0.0, "jitter_s": 0.1, "next_s": 0.0, "overdue": 0, "silent_s": 0.0,
            "degraded": False,
        }  # fmt: skip
        kpi = {
            "device": device, "applications": [application], "outage": 0.05, "offline": False,
            "offline_probability": 0.0, "degraded": False, "last_seen_s": time.time(), "receptions": 95,
        } | changed  # fmt: skip
        self.database.put("s", "devices", {device: records.encode(kpi)})

    def attach(self) -> None:
        """The gateway attaches."""
        from controller.gateways import Gateways

        Gateways(self.site, self.database).attach("gw-1", time.time())


class Bench:
    """A console's API with users; the reader looks only when told to. `tick`: what the clock of the logins shows."""

    def __init__(self, database: ChannelStatusDatabase, folder: Path, kept: str, **console: Any) -> None:
        self.users = folder / "users.toml"
        self.operator = {"Authorization": f"Bearer {add_user(self.users, 'alice', 'operator')}"}
        self.viewer = {"Authorization": f"Bearer {add_user(self.users, 'bob', 'viewer')}"}
        set_password(self.users, "alice", "operator", kept)
        set_password(self.users, "bob", "viewer", kept)
        table = ConsoleTable(**({"users": str(self.users)} | console))
        self.site = msgspec.structs.replace(parse_site(TOML, "t.toml"), console=table)
        self.database = database
        self.scene = Scene(database, self.site)
        self.tick = 0.0
        self.hub = Hub(Reader(self.site, database, time.time, time.monotonic), time.time, "s")
        self.desk = ConsoleDesk(self.site, database, self.hub, time.time)
        self.login = Login(self.site, monotonic=lambda: 1e4 + self.tick)
        app = console_app(self.desk, self.hub, self.login, tls=False, hosts=["127.0.0.1"])
        self.client = TestClient(app, base_url="http://127.0.0.1")

    def get(self, path: str, **parameters: Any) -> Any:
        """A viewer's question, which must be answered."""
        answer = self.client.get(path, params=parameters or None, headers=self.viewer)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def act(self, **action: Any) -> Any:
        """An operator's action; the whole answer."""
        return self.client.post("/api/actions", json=action, headers=self.operator)

    def undo(self, entry: str) -> Any:
        """An operator takes an action back; the whole answer."""
        return self.client.post(f"/api/audit/{entry}/undo", headers=self.operator)

    def log_in(self, user: str = "alice", password: str = PASSWORD) -> Any:
        """A login by password; the whole answer. The client keeps the cookie."""
        return self.client.post("/api/session", json={"user": user, "password": password})


@pytest.fixture
def bench(database: ChannelStatusDatabase, tmp_path: Path, password_hash: str) -> Bench:
    """A console with users, on either door."""
    return Bench(database, tmp_path, password_hash)


@pytest.fixture(scope="session")
def fuzzed_bench(tmp_path_factory: pytest.TempPathFactory, password_hash: str) -> Bench:
    """One console over a database in memory for all examples of the property tests."""
    made = Bench(MemoryDatabase(), tmp_path_factory.mktemp("fuzzed"), password_hash)
    made.scene.sense()
    made.scene.grant("dev-1")
    return made


@pytest.fixture
def make_bench(tmp_path: Path, password_hash: str) -> Callable[..., Bench]:
    """Consoles over a database in memory, with other settings."""

    def make(**console: Any) -> Bench:
        database = MemoryDatabase(lambda: time.time() if now_s() is None else now_s())
        made = Bench(database, tmp_path, password_hash, **console)
        scenes.append(made.scene)
        return made

    scenes: list[Scene] = []

    def now_s() -> Any:
        return scenes[0].now_s if scenes else None

    return make
