"""The site file: one small TOML per site, parsed once into frozen values. Every part of Airshed reads the same file.

An unknown key, a wrong type or a value out of range is an error that names the key and the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from spectrum.errors import BadInput
from spectrum.eu868 import LORAWAN_DEFAULT_CHANNELS, LORAWAN_EXTRA_CHANNELS, SIGFOX_UPLINK, Subchannel
from spectrum.sigfox import micro_channel_groups
from spectrum.toml_files import decode_toml, read_text

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Probability = Annotated[float, Meta(gt=0, lt=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

Eui = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{16}$")]

# Stands in `database.url` for a server of the site's own, started and stopped by the controller.
EMBEDDED: Final = "embedded"

Item = TypeVar("Item")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: immutable, and a key it does not know is an error."""


class SiteTable(_Table, frozen=True):
    """`[site]`: what the site is called, and where its local metres start (latitude, longitude in degrees)."""

    name: Name
    region: Literal["EU868"] = "EU868"
    origin: tuple[float, float] | None = None


class DatabaseTable(_Table, frozen=True):
    """`[database]`: a Redis URL, or `embedded`. The environment's REDIS_URL comes first; put passwords there."""

    url: str = EMBEDDED
    tls_ca: str | None = None


class SpectrumTable(_Table, frozen=True):
    """`[spectrum]`: the subchannels that are allocated: LoRa centres (125 kHz each), and SigFox's band in groups.

    sigfox_center_hz: 868.130 MHz in RC1; elsewhere only for trials on recordings of other bands. banned_hz: centres
    that are never given.
    """

    lora_center_hz: tuple[float, ...] = tuple(
        channel.center_hz for channel in (*LORAWAN_EXTRA_CHANNELS, *LORAWAN_DEFAULT_CHANNELS)
    )
    sigfox_groups: Annotated[int, Meta(ge=0)] = 12
    sigfox_center_hz: Positive = SIGFOX_UPLINK.center_hz
    banned_hz: tuple[float, ...] = ()

    @property
    def lora(self) -> tuple[Subchannel, ...]:
        """Subchannels a LoRa device may be given, those banned left out."""
        return tuple(
            Subchannel(center_hz, 125e3) for center_hz in self.lora_center_hz if center_hz not in self.banned_hz
        )

    @property
    def sigfox(self) -> tuple[Subchannel, ...]:
        """Groups of micro-channels a SigFox device may be given, those banned left out."""
        groups = micro_channel_groups(self.sigfox_groups, self.sigfox_center_hz) if self.sigfox_groups else ()
        return tuple(group for group in groups if group.center_hz not in self.banned_hz)


class ControllerTable(_Table, frozen=True):
    """`[controller]`: where it listens and how it allocates.

    attempts: N of Algorithm 1, or `auto`. share: part of the ordered subchannels that tries are drawn from, None for
    the policy's own. guard_s: added to the airtime of every lease. horizon_s: how far ahead slots are drawn for devices
    that keep time. status_max_age_s: older sensing counts as silence. hold_s: how long the last good allocation holds
    in silence before requests fall back to random access.
    """

    listen: str = "127.0.0.1:50868"
    policy: str = "algorithm1"
    attempts: Annotated[int, Meta(ge=1, le=1000)] | Literal["auto"] = 5
    share: Annotated[float, Meta(gt=0, le=1)] | None = None
    guard_s: NotNegative = 0.02
    horizon_s: Positive = 10.0
    longest_lease_s: Positive = 3600.0
    status_max_age_s: Positive = 5.0
    hold_s: NotNegative = 300.0
    requests_per_s: Positive = 2000.0


class SensorTable(_Table, frozen=True):
    """`[[sensor]]`: one dongle and what its daemon does.

    source: `synthetic`, a file, `rtlsdr:INDEX-OR-SERIAL`, `rtl_tcp://HOST:PORT`, or lines of power instead of IQ,
    `rtl_power:FILE` or `sx1302:FILE`. center_hz, rate_hz: None for what a recording says itself, and for 868.0125 MHz
    at 2.4 MS/s elsewhere. pf, pm: design errors. memory_s: time constant of the occupancy: a shorter one lets the
    controller know sooner that a subchannel has turned bad, and be wrong more often. position_m: (east, north) of the
    site's origin. spectrum_bins: at most so many bins in the rows that the console's waterfall shows, 0 for none.
    """

    name: Name
    source: str = "synthetic"
    center_hz: Positive | None = None
    rate_hz: Positive | None = None
    gain_db: float | None = None
    interval_s: Positive = 0.01
    pf: Probability = 0.2
    pm: Probability = 0.1
    memory_s: Positive = 60.0
    loop: bool = True
    position_m: tuple[float, float] | None = None
    spectrum_bins: Annotated[int, Meta(ge=0, le=2048)] = 512


class LorawanTable(_Table, frozen=True):
    """`[gateway.lorawan]`: how an agent serves and steers LoRaWAN devices.

    udp_listen: where packet forwarders send to (Semtech UDP has no authentication: loopback, or the inner address of a
    tunnel with tunnel = true). gateway_eui: forwarders that are heard, any when empty. keys: the file of keys; the
    environment's AIRSHED_LORAWAN_KEYS comes first. channels: how many a device hops over. lease_s: how long a plan
    stands before it is asked for anew. replan_after_lost: it is asked for earlier when so many of a device's last ten
    frames are missing by its counter, None for never. rx2_for_commands: whether MAC commands that found no room in RX1
    go into RX2 (SF12: the gateway is deaf for more than a second) or wait for the next uplink. nb_trans: repetitions of
    each frame. duty_cycle_exponent: aggregated limit of a device, 1 / 2^n. antenna_gain_dbi: of the gateway.
    commands_in: `fopts` (at most 15 bytes a downlink, readable by all in 1.0) or `port-0` (51, encrypted).
    """

    udp_listen: str = "127.0.0.1:1700"
    tunnel: bool = False
    gateway_eui: tuple[Eui, ...] = ()
    keys: str | None = None
    channels: Annotated[int, Meta(ge=1, le=3)] = 3
    lease_s: Positive = 1800.0
    replan_after_lost: Annotated[int, Meta(ge=1, le=10)] | None = None
    rx2_for_commands: bool = True
    commands_in: Literal["fopts", "port-0"] = "fopts"
    nb_trans: Annotated[int, Meta(ge=1, le=15)] = 1
    duty_cycle_exponent: Annotated[int, Meta(ge=0, le=15)] | None = None
    antenna_gain_dbi: Annotated[float, Meta(ge=0, le=20)] = 0.0


class MqttTable(_Table, frozen=True):
    """`[gateway.mqtt]`: a broker with ChirpStack's gateway topics. The password is AIRSHED_MQTT_PASSWORD's.

    topic_prefix: what stands before `/gateway/`, the region in ChirpStack 4; empty when nothing does.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    topic_prefix: str = "eu868"
    username: str | None = None
    tls_ca: str | None = None


class SigfoxTable(_Table, frozen=True):
    """`[gateway.sigfox]`: where endpoints that run the test agent are reached.

    listen: `HOST:PORT` for endpoints over TCP (loopback, or a tunnel's inner address with tunnel = true). serial: ports
    with one endpoint each.
    """

    listen: str = "127.0.0.1:50869"
    tunnel: bool = False
    serial: tuple[str, ...] = ()


class GatewayTable(_Table, frozen=True):
    """`[[gateway]]`: one gateway, its agent's radio side, and (for `virtual`) the devices behind it.

    radio: `virtual`; `semtech-udp` for a packet forwarder; `mqtt` for a gateway bridge; `sigfox` for endpoints that run
    the test agent. health_listen: health and metrics over HTTP, loopback only.
    """

    name: Name
    radio: Literal["virtual", "semtech-udp", "mqtt", "sigfox"] = "virtual"
    devices: Annotated[int, Meta(ge=1, le=100_000)] = 50
    mean_gap_s: Positive = 10.0
    position_m: tuple[float, float] | None = None
    # 8 in the SX1301; only planning asks
    demodulation_paths: Annotated[int, Meta(ge=1, le=1024)] = 8
    lorawan: LorawanTable = LorawanTable()
    mqtt: MqttTable = MqttTable()
    sigfox: SigfoxTable = SigfoxTable()
    health_listen: str | None = None


class DeviceTable(_Table, frozen=True):
    """`[[device]]`: one real device that an agent moves. Keys never stand here, see LorawanTable.keys.

    dev_eui, join_eui: 16 hex digits. dev_addr: 8 hex digits, for `abp`. lorawan: 1.0.4 devices count their DevNonce and
    keep data rate and power on 15; 1.1 (OTAA only) has two root keys. gateway: the agent that serves it, any when left
    out. position_m: (east, north) of the site's origin, for maps.
    """

    name: Name
    technology: Literal["lora", "sigfox"] = "lora"
    gateway: Name | None = None
    dev_eui: Eui | None = None
    join_eui: Eui | None = None
    activation: Literal["otaa", "abp"] = "otaa"
    dev_addr: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}$")] | None = None
    lorawan: Literal["1.0.3", "1.0.4", "1.1"] = "1.0.3"
    position_m: tuple[float, float] | None = None


class TrafficTable(_Table, frozen=True):
    """`[[traffic]]`: a group of alike LoRa devices, for planning.

    devices: how many. period_s: mean time between two reports of one. payload_bytes: PHY payload, 13 of them LoRaWAN
    overhead. position_m, radius_m: they are spread evenly over this disc, (east, north) of the site's origin.
    spreading_factors and shares fix who uses what; without them the plan's own rule chooses by distance. access:
    `random` as LoRaWAN sends, or `pool` with pre-allocated slots and a common pool for repetitions.
    """

    name: Name
    devices: Annotated[int, Meta(ge=1, le=10_000_000)]
    period_s: Positive
    payload_bytes: Annotated[int, Meta(ge=1, le=255)] = 25
    coding_rate: Annotated[int, Meta(ge=1, le=4)] = 1
    position_m: tuple[float, float] = (0.0, 0.0)
    radius_m: Positive = 1000.0
    spreading_factors: tuple[Annotated[int, Meta(ge=7, le=12)], ...] = ()
    shares: tuple[Annotated[float, Meta(ge=0, le=1)], ...] = ()
    access: Literal["random", "pool"] = "random"


class TlsTable(_Table, frozen=True):
    """`[tls]`: PEM files for mutual TLS between agents and controller. Without it only loopback is served."""

    ca: str
    certificate: str
    key: str


class HttpTable(_Table, frozen=True):
    """`[http]`: the operators' API of the controller.

    users: a file of tokens made by `airshed token`; without it whoever reaches the address may read.
    """

    listen: str = "127.0.0.1:8868"
    users: str | None = None


class ConsoleTable(_Table, frozen=True):
    """`[console]`: the operator's console, `airshed console`.

    users: a file made by `airshed token`; None for that of `[http]`. reading: who may look when there are users.
    Without a file of users everyone who reaches the address may look, and nobody may act. idle_s, session_s: a login
    ends when it is not used for so long, and in any case after so long.
    """

    listen: str = "127.0.0.1:8869"
    users: str | None = None
    reading: Literal["viewers", "anyone"] = "viewers"
    idle_s: Positive = 1800.0
    session_s: Positive = 43_200.0


class MonitoringTable(_Table, frozen=True):
    """`[monitoring]`: watching the devices by the rhythm of their uplinks.

    false_alarm: probability that a device that still reports is called offline, for each time it is looked at.
    merge_s: receptions of one device within this time are copies of one transmission, through several gateways.
    """

    enabled: bool = True
    false_alarm: Probability = 1e-3
    merge_s: NotNegative = 2.0


class BackhaulSwitch(_Table, frozen=True):
    """`[[backhaul.switch]]`: one OpenFlow switch: its datapath id, and its port towards the controller."""

    name: Name
    dpid: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    uplink: Annotated[int, Meta(ge=1, le=0xFFFF)]


class BackhaulHost(_Table, frozen=True):
    """`[[backhaul.host]]`: a host without an agent, such as a sensor's: from this place it may use the control ports.

    switch: the name of a `[[backhaul.switch]]`; port: where the host is plugged in there; address: its IPv4.
    """

    name: Name
    switch: Name
    port: Annotated[int, Meta(ge=1, le=0xFFFF)]
    mac: Annotated[str, Meta(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")]
    address: Annotated[str, Meta(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")]


class BackhaulTable(_Table, frozen=True):
    """`[backhaul]`: OpenFlow switches between gateways and controller.

    listen: where switches dial in. address: the controller's IPv4 on the backhaul, None for the host of
    `controller.listen`. control_kbit_s, user_kbit_s: what each gateway may send of either class; dial_kbit_s: what the
    unknown sources of one port may send while they register. control_tcp, control_udp: ports of the controller that are
    control traffic besides its own (Redis, Semtech UDP). control_queue, user_queue: the queue of the uplink that either
    class leaves by, None for none; making the queues is the switch's own affair. poll_s: time between two readings of
    the counters.
    """

    switch: Annotated[tuple[BackhaulSwitch, ...], Meta(min_length=1)]
    host: tuple[BackhaulHost, ...] = ()
    listen: str = "127.0.0.1:6653"
    address: Annotated[str, Meta(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")] | None = None
    control_kbit_s: Annotated[int, Meta(ge=1)] = 2_000
    user_kbit_s: Annotated[int, Meta(ge=1)] = 10_000
    dial_kbit_s: Annotated[int, Meta(ge=1)] = 256
    control_tcp: tuple[Annotated[int, Meta(ge=1, le=65535)], ...] = (6379,)
    control_udp: tuple[Annotated[int, Meta(ge=1, le=65535)], ...] = (1700,)
    control_queue: Annotated[int, Meta(ge=0, le=0xFFFF)] | None = None
    user_queue: Annotated[int, Meta(ge=0, le=0xFFFF)] | None = None
    poll_s: Positive = 5.0


class Site(_Table, frozen=True):
    """A whole site file."""

    site: SiteTable
    database: DatabaseTable = DatabaseTable()
    spectrum: SpectrumTable = SpectrumTable()
    controller: ControllerTable = ControllerTable()
    sensor: tuple[SensorTable, ...] = ()
    gateway: tuple[GatewayTable, ...] = ()
    device: tuple[DeviceTable, ...] = ()
    traffic: tuple[TrafficTable, ...] = ()
    tls: TlsTable | None = None
    http: HttpTable | None = None
    console: ConsoleTable = ConsoleTable()
    monitoring: MonitoringTable = MonitoringTable()
    backhaul: BackhaulTable | None = None

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name


def parse_site(text: str, file_name: str) -> Site:
    """The site in `text`; `file_name` is for the messages of BadInput."""
    site = decode_toml(text, Site, file_name)
    named = {
        "sensor": [sensor.name for sensor in site.sensor],
        "gateway": [gateway.name for gateway in site.gateway],
        "device": [device.name for device in site.device],
        "traffic": [group.name for group in site.traffic],
        "backhaul.switch": [switch.name for switch in site.backhaul.switch] if site.backhaul else [],
        "backhaul.host": [host.name for host in site.backhaul.host] if site.backhaul else [],
        "backhaul.host address": [host.address for host in site.backhaul.host] if site.backhaul else [],
        "backhaul.switch dpid": [str(switch.dpid) for switch in site.backhaul.switch] if site.backhaul else [],
    }
    for table, names in named.items():
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise BadInput(f"{file_name}: every {table} needs a name of its own, {sorted(twice)} came more than once")
    _check_devices(site.device, file_name)
    return site


def _check_devices(devices: Sequence[DeviceTable], file_name: str) -> None:
    """What the types cannot say: a LoRaWAN device has an EUI of its own, and an ABP device an address."""
    seen: dict[str, str] = {}
    for device in devices:
        if device.technology != "lora":
            continue
        if device.dev_eui is None:
            raise BadInput(f"{file_name}: device {device.name} needs its dev_eui, 16 hex digits")
        if device.activation == "abp" and device.lorawan == "1.1":
            raise BadInput(f"{file_name}: device {device.name} is abp and 1.1: abp is possible with 1.0.3 and 1.0.4")
        if device.activation == "abp" and device.dev_addr is None:
            raise BadInput(f"{file_name}: device {device.name} is abp and needs its dev_addr, 8 hex digits")
        other = seen.setdefault(device.dev_eui.lower(), device.name)
        if other != device.name:
            raise BadInput(f"{file_name}: devices {other} and {device.name} have the same dev_eui")


def read_site(path: Path | str) -> Site:
    """The site in a file; BadInput when it is missing, unreadable or wrong."""
    return parse_site(read_text(path, "site", "hardware/sites/loopback.toml"), str(path))


def one_named(kind: str, wanted: str | None, items: Sequence[Item], name_of: Callable[[Item], str]) -> Item:
    """The item called `wanted`, or the only one when no name is given."""
    names = [name_of(item) for item in items]
    if wanted is None and len(items) == 1:
        return items[0]
    if wanted in names:
        return items[names.index(wanted)]
    asked = f"no {kind} is called {wanted!r}" if wanted else f"the site has {len(items)} {kind}s, name one of them"
    raise BadInput(f"{asked}: it has {', '.join(names) or 'none'}")
