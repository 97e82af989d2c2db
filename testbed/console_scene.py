"""A seeded site written straight into a Channel Status Database: what the console's tests and pictures look at.

It is no radio: levels come from path loss and noise, leases from the real allocator, the devices' figures from the real
monitoring. Time is an argument, so that hours can be written in seconds (into a database whose clock is set, too).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase
from controller.allocator import Allocator
from controller.gateways import Gateways
from controller.requests import Ask
from monitoring.periodic.live import SiteMonitor
from sensing.source import Tuning
from sensing.waterfall import Air, Waterfall
from spectrum.eu868 import Subchannel
from spectrum.report import ChannelReport
from spectrum.site_file import Site

CENTER_HZ: Final = 868.0125e6
SPAN_HZ: Final = 2.4e6
BINS: Final = 300
GAIN_DB: Final = 28.0

# A dongle of 6 dB noise figure whose full scale is -30 dBm: -174 + 6 + 30 dBFS in each Hz.
NOISE_DBFS_HZ: Final = -138.0
DBM_AT_FULL_SCALE: Final = -30.0
DEVICE_DBM: Final = 14.0
SHADOWING_DB: Final = 6.0

# Samples behind one reading: 10 ms in 125 kHz, about 1250 independent ones.
THRESHOLD_OVER_NOISE_DB: Final = 0.6
LEARNED_REPORTS: Final = 40
CLIPPING_DBFS: Final = -12.0
CLIPPED_SHARE: Final = 0.004

SENSORS: Final = {"roof": (0.0, 0.0), "quay": (-420.0, 310.0), "mast": (510.0, 260.0), "yard": (120.0, -390.0)}
GATEWAYS: Final = {"gw-north": (90.0, 430.0), "gw-south": (-150.0, -330.0)}
KINDS: Final = (("meter", 240.0, 0.6), ("tank", 420.0, 1.3), ("lamp", 150.0, 0.3), ("gate", 300.0, 0.9))


@dataclass(slots=True)
class Device:
    """One device of the scene. lossy: share of its reports that nobody hears. silent_s: when it falls silent."""

    name: str
    technology: str
    gateway: str
    position_m: tuple[float, float]
    period_s: float
    airtime_s: float
    holds_s: float
    phase_s: float
    lossy: float = 0.02
    silent_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Emission:
    """Something on the air from a place, dbm e.r.p."""

    subchannel: Subchannel
    position_m: tuple[float, float]
    dbm: float
    start_s: float = 0.0
    end_s: float = math.inf


def devices_of(seed: int, count: int) -> list[Device]:
    """The devices, the same for the same seed."""
    rng = np.random.default_rng((seed, 1))
    made = []
    for number in range(count):
        kind, period_s, airtime_s = KINDS[number % len(KINDS)]
        position = (round(float(rng.uniform(-560, 600))), round(float(rng.uniform(-430, 480))))
        near = min(GATEWAYS, key=lambda name: math.dist(GATEWAYS[name], position))
        technology = "sigfox" if number % 5 == 4 else "lora"
        made.append(
            Device(
                f"{kind}-{number:02d}", technology, near, position, period_s * float(rng.uniform(0.8, 1.25)),
                airtime_s, float(rng.uniform(8.0, 40.0)), float(rng.uniform(0.0, period_s)),
            )
        )  # fmt: skip
    return made


def scene_toml(seed: int = 1, count: int = 24, users: str | None = None, more: str = "") -> str:
    """The site file of the scene. users: path of a file of users."""
    lines = ['[site]\nname = "harbour"\norigin = [57.0488, 9.9217]\n', "[controller]\nattempts = 4\nhorizon_s = 8.0\n"]
    for name, (east_m, north_m) in SENSORS.items():
        lines.append(
            f'[[sensor]]\nname = "{name}"\ncenter_hz = {CENTER_HZ}\nrate_hz = {SPAN_HZ}\npf = 0.01\npm = 0.05\n'
            f"position_m = [{east_m}, {north_m}]\n"
        )
    for name, (east_m, north_m) in GATEWAYS.items():
        lines.append(f'[[gateway]]\nname = "{name}"\nposition_m = [{east_m}, {north_m}]\n')
    for number, device in enumerate(devices_of(seed, count)):
        east_m, north_m = device.position_m
        eui = f'dev_eui = "{number:016x}"\njoin_eui = "{0:016x}"\n' if device.technology == "lora" else ""
        lines.append(
            f'[[device]]\nname = "{device.name}"\ntechnology = "{device.technology}"\n'
            f'gateway = "{device.gateway}"\nposition_m = [{east_m}.0, {north_m}.0]\n{eui}'
        )
    if users is not None:
        lines.append(f'[console]\nusers = "{users}"\n')
    return "\n".join([*lines, more])


class Scene:
    """Writes the site's life into a database: `step` brings it up to a time, in steps of `tick_s`."""

    def __init__(
        self, site: Site, database: ChannelStatusDatabase, *, seed: int, count: int, start_s: float, tick_s: float = 0.1
    ) -> None:
        self.now_s = start_s
        self.tick_s = tick_s
        self.interferers: list[Emission] = []
        self.stopped: set[str] = set()
        self._site, self._database = site, database
        self._rng = np.random.default_rng((seed, 2))
        self._allocator = Allocator(site, database)
        self._monitor = SiteMonitor(database, site.name)
        self.devices = devices_of(seed, count)
        self._subchannels = (*site.spectrum.lora, *site.spectrum.sigfox)
        self._shadow: dict[tuple[str, tuple[float, float]], float] = {}
        self._emissions: list[Emission] = []
        self._due = [
            (start_s + (device.phase_s - start_s) % device.period_s, number)
            for number, device in enumerate(self.devices)
        ]
        heapq.heapify(self._due)
        self._busy_share = {(name, cell): 0.02 for name in SENSORS for cell in self._subchannels}
        self._waterfalls = {name: Waterfall(name, Tuning(CENTER_HZ, SPAN_HZ, GAIN_DB), BINS) for name in SENSORS}
        self._ticks = 0

    def attach_gateways(self) -> None:
        """The agents register."""
        gateways = Gateways(self._site, self._database)
        for name in GATEWAYS:
            gateways.attach(name, self.now_s)

    def write_rhythms(self, hours: float) -> None:
        """The devices' uplinks of the last hours, at once, so that monitoring knows their periods."""
        first_s = self.now_s - 3600.0 * hours
        uplinks = []
        for device in self.devices:
            time_s = first_s + (device.phase_s - first_s) % device.period_s
            while time_s < min(self.now_s, device.silent_s):
                if self._rng.random() >= device.lossy:
                    uplinks.append((time_s + float(self._rng.normal(0.0, 0.4)), device))
                time_s += device.period_s
        uplinks.sort(key=lambda pair: pair[0])
        for some in range(0, len(uplinks), 1000):
            values = [self._uplink(device, time_s) for time_s, device in uplinks[some : some + 1000]]
            self._database.append(self._site.name, "uplinks", values)
            self._monitor.step(uplinks[min(some + 999, len(uplinks) - 1)][0])

    def step(self, until_s: float) -> None:
        """Live up to a time."""
        while self.now_s < until_s:
            self.now_s += self.tick_s
            self._send_due()
            self._sense()
            self._ticks += 1
            if self._ticks % round(1.0 / self.tick_s) == 0:
                self._allocator.expire(self.now_s)
                self._allocator.follow_operators()
                self._monitor.step(self.now_s)

    def _send_due(self) -> None:
        """Devices whose time has come ask for a subchannel, send on it, and hold it for a while."""
        while self._due and self._due[0][0] <= self.now_s:
            due_s, number = heapq.heappop(self._due)
            device = self.devices[number]
            heapq.heappush(self._due, (due_s + device.period_s, number))
            if self.now_s >= device.silent_s or device.name in self.stopped:
                continue
            self.ask(device)

    def ask(self, device: Device) -> None:
        """One packet of a device."""
        name = f"{device.name}-{round(self.now_s * 10)}"
        ask = Ask(name, device.name, device.gateway, device.technology, device.airtime_s)  # type: ignore[arg-type]
        for lease in self._allocator.answer([ask], self.now_s)[0].leases:
            self._allocator.confirm(lease.lease_id, self.now_s)
            self._allocator.renew(lease.lease_id, self.now_s + device.holds_s, self.now_s)
            for burst in range(max(1, int(device.holds_s / 12.0))):
                start_s = self.now_s + 12.0 * burst
                self._emissions.append(
                    Emission(lease.subchannel, device.position_m, DEVICE_DBM, start_s, start_s + device.airtime_s)
                )
        if self._rng.random() >= device.lossy:
            self._database.append(self._site.name, "uplinks", [self._uplink(device, self.now_s)])

    def _uplink(self, device: Device, time_s: float) -> bytes:
        distance_m = math.dist(device.position_m, GATEWAYS[device.gateway])
        rssi_dbm = DEVICE_DBM - path_loss_db(distance_m)
        return records.encode(
            {"device": device.name, "time_s": time_s, "gateway": device.gateway, "rssi_dbm": round(rssi_dbm, 1)}
        )

    def _sense(self) -> None:
        """One interval of every sensor: reports, a row of its waterfall, and once a second its health."""
        self._emissions = [one for one in self._emissions if one.end_s > self.now_s - self.tick_s]
        for name, position in SENSORS.items():
            if name in self.stopped:
                continue
            on_air = [*(one for one in self._emissions if one.start_s <= self.now_s), *self.interferers]
            heard = [(one.subchannel, self._heard(name, position, one)) for one in on_air]
            reports = [self._report(name, cell, heard) for cell in self._subchannels]
            clips = any("clipping" in report.flags for report in reports)
            self._database.publish(self._site.name, reports)
            self._keep_rows(name, reports, heard, clips=clips)
            if self._ticks % round(1.0 / self.tick_s) == 0:
                self._health(name, clips=clips)

    def _heard(self, sensor: str, at: tuple[float, float], one: Emission) -> float:
        """Power of an emission at a sensor, as a share of its full scale."""
        place = (sensor, one.position_m)
        if place not in self._shadow:
            self._shadow[place] = float(self._rng.normal(0.0, SHADOWING_DB))
        dbfs = one.dbm - path_loss_db(math.dist(at, one.position_m)) - self._shadow[place] - DBM_AT_FULL_SCALE
        return float(10 ** (dbfs / 10))

    def _report(self, sensor: str, cell: Subchannel, heard: Sequence[tuple[Subchannel, float]]) -> ChannelReport:
        noise_dbfs = NOISE_DBFS_HZ + 10 * math.log10(cell.bandwidth_hz)
        noise = 10 ** (noise_dbfs / 10)
        signal = sum(power * cell.overlap_hz(of) / of.bandwidth_hz for of, power in heard)
        samples = cell.bandwidth_hz * 0.01
        energy = (noise + signal) * float(self._rng.normal(1.0, 1.0 / math.sqrt(samples)))
        energy_dbfs = 10 * math.log10(max(energy, 1e-14))
        over_db = THRESHOLD_OVER_NOISE_DB * math.sqrt(1250.0 / samples)
        busy = energy_dbfs >= noise_dbfs + over_db
        share = self._busy_share[sensor, cell] * (1 - 1 / LEARNED_REPORTS) + busy / LEARNED_REPORTS
        self._busy_share[sensor, cell] = share
        spread = 1.96 * math.sqrt(max(share * (1 - share), 0.002) / LEARNED_REPORTS)
        snr_db = 10 * math.log10(signal / noise) if signal > noise / 100 else None
        pm = 0.05 if snr_db is None else 0.05 / (1.0 + 10 ** (max(snr_db, -20.0) / 10))
        return ChannelReport(
            sensor, self.now_s - 0.01, 0.01, cell.center_hz, cell.bandwidth_hz, energy_dbfs, noise_dbfs,
            noise_dbfs + over_db, snr_db, 0.01, pm, busy, share, pm * share + 0.01 * (1 - share),
            max(0.0, share - spread), min(1.0, share + spread), 0.011, energy_dbfs + DBM_AT_FULL_SCALE,
            ("clipping",) if energy_dbfs > CLIPPING_DBFS else (), -8.0 if snr_db is None else snr_db, samples, GAIN_DB,
        )  # fmt: skip

    def _keep_rows(
        self, sensor: str, reports: list[ChannelReport], heard: Sequence[tuple[Subchannel, float]], *, clips: bool
    ) -> None:
        """The rows of its waterfall and the digests of its reports, as a sensor's daemon publishes them."""
        width_hz = SPAN_HZ / BINS
        power = 10 ** (NOISE_DBFS_HZ / 10) * width_hz * self._rng.gamma(8.0, 1.0 / 8.0, BINS)
        low_hz = CENTER_HZ - SPAN_HZ / 2
        for cell, signal in heard:
            first, last = int((cell.low_hz - low_hz) / width_hz), int((cell.high_hz - low_hz) / width_hz)
            inside = slice(max(0, first), min(BINS, last + 1))
            if bins := power[inside].size:
                power[inside] += signal / bins * self._rng.gamma(3.0, 1.0 / 3.0, bins)
        clipped = np.array([CLIPPED_SHARE if clips else 0.0])
        waterfall = self._waterfalls[sensor]
        told = waterfall.see(Air(np.array([reports[0].time_s]), power[None, :], clipped)) + waterfall.judge(reports)
        for stream, value in told:
            self._database.append(self._site.name, f"{stream}:{sensor}", [value])

    def _health(self, sensor: str, *, clips: bool) -> None:
        health = {
            "intervals": self._ticks, "records": self._ticks * len(self._subchannels), "lost_records": 0,
            "lost_samples": 0, "last_s": self.now_s, "gain_db": GAIN_DB, "flags": ["clipping"] if clips else [],
            "state": "running", "clipping": CLIPPED_SHARE if clips else 0.0,
        }  # fmt: skip
        self._database.put(self._site.name, "sensor", {sensor: records.encode(health)})


def path_loss_db(distance_m: float) -> float:
    """Log-distance loss at 868 MHz: 31 dB in the first metre, exponent 3.2 (a harbour with buildings)."""
    return 31.0 + 32.0 * math.log10(max(1.0, distance_m))
