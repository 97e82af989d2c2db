"""What a synthetic population is drawn from: the paper's published marginals, and what had to be assumed.

Every number is marked [p] printed in "Where Things Roam", [d] derived from printed ones, or [a] assumed because the
paper is silent; docs/roaming.md lists the assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

OWN: Final = "23410"
MVNO: Final = ("23426", "23438")
OTHER_NATIONAL: Final = ("23415", "23420", "23430")
ABROAD: Final = ("20801", "21401", "27201", "26201", "22210", "31026")

Weights = tuple[tuple[str, float], ...]
Mode = tuple[float, float, float]

# [a] Rows a device-day; together they make 98 million rows of 1,000,000 devices in 22 days.
# Label shares: [p] I:H of m2m 74.7 %, smart 12.1 %, feat 6.4 %; the rest is split by [a] so that H:H is about 48 %
# and V:H about 33 % of device-days [p].
_NATIVE_PEOPLE: Final = (("H:H", 0.50), ("V:H", 0.355), ("N:H", 0.006), ("H:A", 0.012), ("V:A", 0.006))


@dataclass(frozen=True)
class Group:
    """One kind of device.

    share: of all devices. labels: (label, weight). radio, data, calls: mean rows per active day.
    days: how active days are drawn (see `population`). modes: weights of (voice only, data only, both) for devices on
    2G only and for the others. rats: (technologies, weight); the first entry is 2G only.
    moving: share that leaves its site by more than a kilometre; reach_km: how far. bytes_median: per data record.
    apns: (kind, weight) with kinds m2m, consumer, unknown. family: (device types it is built of, weight), see FAMILIES.
    failing: share of devices that ever fail.
    """

    name: str
    kind: str
    share: float
    labels: Weights
    radio: float
    calls: float
    modes: tuple[Mode, Mode]
    rats: tuple[tuple[tuple[int, ...], float], ...]
    moving: float
    reach_km: float
    family: Weights
    data: float = 0.0
    bytes_median: float = 0.0
    apns: Weights = ()
    vertical: str | None = None
    days: str = "thing"
    failing: float = 0.2

    @property
    def person(self) -> bool:
        return self.days == "person"


# [p] m2m: 77.4 % on 2G only; data on 2G only 56.7 %, none 24.5 %; voice on 2G 60.6 %, none 27.5 %.
# [d] meters and cars keep little to 2G, so the other things must: their weights bring all m2m near these numbers.
_THING_RATS: Final = (((2,), 0.87), ((3,), 0.055), ((2, 3), 0.05), ((2, 3, 4), 0.025))
_THING_MODES: Final = ((0.29, 0.21, 0.50), (0.168, 0.473, 0.359))
# [p] feat: 50.9 % on 2G only, 56.8 % no data, 7.3 % no voice.
_FEAT_RATS: Final = (((2,), 0.509), ((3,), 0.20), ((2, 3), 0.25), ((2, 3, 4), 0.041))
# [d] dongles, which the rules call feat, do not speak either: fewer phones must be silent.
_FEAT_MODES: Final = ((0.60, 0.025, 0.375),) * 2
# [p] smart: mostly 3G and 4G; [d] 8.5 % without data, so that 21 % of all devices show no APN [p].
_SMART_RATS: Final = (((2,), 0.02), ((3,), 0.10), ((2, 3), 0.14), ((3, 4), 0.30), ((2, 3, 4), 0.40), ((4,), 0.04))
_SMART_MODES: Final = ((0.085, 0.06, 0.855),) * 2
_CONSUMER: Final = (("consumer", 0.94), ("unknown", 0.06))
_METER_MODES: Final = ((0.0, 0.5, 0.5),) * 2
_ONLY_VOICE: Final = ((1.0, 0.0, 0.0),) * 2
_ONLY_DATA: Final = ((0.0, 1.0, 0.0),) * 2

# Shares: [p] smart 24.4, feat 3.1, m2m 10.1, m2m-maybe 2.0 of 39.6 million.
_PHONE: Final = Group(
    "smartphone", "smart", 0.613, (("I:H", 0.121), *_NATIVE_PEOPLE), 8.1, 0.8, _SMART_MODES, _SMART_RATS, 0.85, 8.0,
    (("smartphone", 0.993), ("missing", 0.007)), data=1.2, bytes_median=2e6, apns=_CONSUMER, days="person",
    failing=0.25,
)  # fmt: skip
_FEATURE_PHONE: Final = Group(
    "feature phone", "feat", 0.074, (("I:H", 0.064), *_NATIVE_PEOPLE), 2.8, 1.2, _FEAT_MODES, _FEAT_RATS, 0.70, 5.0,
    (("feature", 0.995), ("missing", 0.005)), data=0.3, bytes_median=2e4, apns=_CONSUMER, days="person", failing=0.15,
)  # fmt: skip
_DONGLE: Final = replace(
    _FEATURE_PHONE, name="dongle", share=0.004, radio=3.0, calls=0.0, data=1.5, bytes_median=1e7, modes=_ONLY_DATA,
    rats=_SMART_RATS, moving=0.30, apns=(("consumer", 1.0),), family=(("ambiguous", 1.0),),
)  # fmt: skip
# [a] a phone with a device type that the catalogue does not list, used for calls alone
_UNLISTED_PHONE: Final = replace(
    _FEATURE_PHONE, name="unlisted phone", share=0.0168, labels=(("I:H", 0.08), *_NATIVE_PEOPLE), radio=3.0, calls=1.0,
    data=0.0, modes=_ONLY_VOICE, apns=(), family=(("unlisted", 0.9), ("missing", 0.1)),
)  # fmt: skip
_NATIVE_METER: Final = Group(
    "native meter", "m2m", 0.020, (("H:H", 1.0),), 1.4, 0.0, _METER_MODES,
    (((2,), 0.0), ((3,), 0.667), ((2, 3), 0.333)), 0.05, 1.5, (("module", 1.0),), data=0.5, bytes_median=2e3,
    apns=(("unknown", 1.0),), vertical="energy", days="meter", failing=0.0375,
)  # fmt: skip
_ROAMING_METER: Final = replace(
    _NATIVE_METER, name="roaming meter", share=0.005, labels=(("I:H", 1.0),), radio=14.0, data=0.7, rats=(((2,), 1.0),),
    apns=(("m2m", 1.0),), family=(("meter", 1.0),), days="roaming meter", failing=0.35,
)  # fmt: skip
_CAR: Final = Group(
    "car", "m2m", 0.015, (("I:H", 0.85), ("H:H", 0.07), ("V:H", 0.08)), 9.0, 0.1, ((0.0, 0.6, 0.4),) * 2,
    (((2,), 0.3), ((3,), 0.2), ((2, 3), 0.3), ((2, 3, 4), 0.2)), 0.90, 25.0, (("module", 1.0),), data=1.2,
    bytes_median=5e5, apns=(("m2m", 0.97), ("unknown", 0.03)), vertical="automotive", failing=0.25,
)  # fmt: skip
_THING: Final = Group(
    "thing", "m2m", 0.210, (("I:H", 0.82), ("H:H", 0.04), ("V:H", 0.14)), 4.2, 0.15, _THING_MODES, _THING_RATS, 0.17,
    6.0,
    (("module", 0.97), ("ambiguous", 0.03)), data=0.6, bytes_median=3e3,
    apns=(("m2m", 0.93), ("unknown", 0.04), ("consumer", 0.03)), vertical="other",
)  # fmt: skip
# [a] things on phone hardware: some with a validated APN (the rule finds them), some with a consumer one (it cannot)
_THING_ON_A_PHONE: Final = replace(
    _THING, name="thing on a phone", share=0.003, labels=(("I:H", 0.4), ("H:H", 0.4), ("V:H", 0.2)), radio=5.0,
    calls=0.05,
    modes=((0.0, 0.7, 0.3),) * 2, rats=_SMART_RATS, moving=0.30, family=(("phone of things", 1.0),), data=0.8,
    bytes_median=5e4, apns=(("m2m", 0.7), ("consumer", 0.3)), vertical="payment",
)  # fmt: skip
# [p] m2m-maybe: neither phone nor validated, voice only; [a] 7 of 10 are things
_SILENT_THING: Final = replace(
    _THING, name="silent thing", share=0.0392, labels=(("I:H", 0.60), ("H:H", 0.20), ("V:H", 0.20)), radio=2.6,
    data=0.0,
    modes=_ONLY_VOICE, moving=0.15, reach_km=5.0, apns=(), family=(("unvalidated", 0.6), ("unlisted", 0.4)),
    vertical="security",
)  # fmt: skip
GROUPS: Final = (
    _PHONE, _FEATURE_PHONE, _DONGLE, _UNLISTED_PHONE, _NATIVE_METER, _ROAMING_METER, _CAR, _THING, _THING_ON_A_PHONE,
    _SILENT_THING,
)  # fmt: skip

# Home countries of inbound roamers: [p] Netherlands, Sweden, Spain hold 83 % of m2m, 17 % of smart, 35 % of feat;
# [a] the split among the three, and the other countries (weights fall as 1/rank).
TOP_THREE: Final = {"m2m": (0.40, 0.27, 0.16), "smart": (0.04, 0.03, 0.10), "feat": (0.15, 0.05, 0.15)}
TOP_THREE_PLMNS: Final = ("20404", "24001", "21407")
OTHER_HOMES: Final = (
    "27201", "20801", "26201", "22210", "31026", "26001", "20601", "26801", "22801", "23001", "24201", "23801", "24405",
    "50501", "45400", "42402", "40410", "28601", "21601", "22601", "20201", "46000", "44010", "72410", "65501",
)  # fmt: skip

# Families of device types: (vendors, number of models, OS, type, bands). [p] Gemalto, Telit and Sierra Wireless make
# 75 % of the inbound things' modules (three of four models here); [a] all else, models carry no real names.
FAMILIES: Final = {
    "smartphone": (("Apple", "Samsung", "Huawei", "Sony", "LG", "BlackBerry"), 400, "phone", "smartphone", "2G|3G|4G"),
    "feature": (("Nokia", "Alcatel", "Doro", "ZTE"), 120, "", "feature phone", "2G|3G"),
    "module": (("Gemalto", "Telit", "Sierra Wireless", "Quectel"), 160, "", "module", "2G|3G"),
    "meter": (("Gemalto", "Telit"), 12, "", "module", "2G"),
    "ambiguous": (("Huawei", "ZTE", "Sierra Wireless"), 30, "", "modem", "2G|3G|4G"),
    "unvalidated": (("SIMCom", "u-blox", "Cinterion"), 60, "", "module", "2G|3G"),
}

# APNs by vertical; network identifiers only, the operator identifier of the SIM is added.
THING_APNS: Final = {
    "energy": ("smhp.centricaplc.com", "meters.rwe.smartmeter", "elster.mdm", "generalelectric.amr"),
    "automotive": ("scania.telematics", "connectedcar.oem", "fleet.connectedcar"),
    "payment": ("paymentterminal.net", "pos.paymentterminal"),
    "other": ("intelligent.m2m", "m2m.tele2.com", "iot.1nce.net", "fleettrack.eu", "elevatorcall.net", "alarmline.net"),
}
CONSUMER_APNS: Final = ("internet", "payandgo.example", "prepay.example", "contract.example", "wap.example")
UNKNOWN_APNS: Final = tuple(f"vpn{number}.corporate.example" for number in range(40))

# M2M platform: [p] home networks ES 52.3, MX 42.2, AR 4.7 %, DE about 1,000 of 100,000; native shares ES 18 %, MX 90 %,
# AR nearly all; [a] DE native 5 %.
PLATFORM_HOMES: Final = (("21407", 0.523, 0.18), ("33403", 0.422, 0.90), ("72207", 0.047, 0.97), ("26201", 0.008, 0.05))
# [p] networks used by a roaming device: 1 by 65 %, 2 by over 25 %, more than 3 by 5 %, at most 19.
PLATFORM_NETWORKS: Final = ((1, 0.65), (2, 0.26), (3, 0.04), (4, 0.02), (6, 0.015), (9, 0.01), (19, 0.005))
# [p] 40 % of the Spanish home network's devices only fail; causes as named there, [a] their split.
PLATFORM_ONLY_FAIL: Final = 0.40
PLATFORM_CAUSES: Final = (("RoamingNotAllowed", 0.5), ("UnknownSubscription", 0.3), ("FeatureUnsupported", 0.2))
# [p] mean 267 with 97 % below 2000 in 11 days, extremes of 130,000. No lognormal does that (the notes, 5.8): [a] a
# lognormal body (sigma 1.1; medians of native and roaming devices, [p] 10 apart) and, for 3 %, a Pareto tail from 2000
# (index 1.35, at most 130,000).
PLATFORM_BODY: Final = (40.0, 50.0, 1.1)
PLATFORM_TAIL: Final = (0.03, 2000.0, 1.35, 130_000.0)
PLATFORM_DAYS: Final = 11
# [a] one platform device for so many devices of the population.
PLATFORM_SHARE: Final = 100
