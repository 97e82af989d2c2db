"""The classification in steps: keyword -> validated APN -> device properties propagated -> smart, feat, m2m, m2m-maybe.

SQL text over the tables `devices` (see `catalog.devices`), `tac` and `apn_meanings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitoring.roaming import catalog
from monitoring.roaming.apn import Keyword, meaning

CLASSES: Final = ("smart", "feat", "m2m", "m2m-maybe")
# A property (manufacturer, model, OS, type) makes things of its devices only when at least this share of those that
# showed an APN showed a validated one (the notes, 5.3).
VALIDATED_SHARE: Final = 0.5

# "a major smartphone OS", section 4.3 of the paper, as a word anywhere; iOS only at the start: routers run Cisco IOS.
SMARTPHONE_OS: Final = (
    "(^|[^a-z])(android|blackberry|windows mobile|windows phone|windows 10 mobile)([^a-z]|$)"
    "|^(apple )?(ios|ipados|iphone os)([^a-z]|$)"
)
FEATURE_PHONE: Final = "(feature[ _-]?phone|basic phone)"

# Confidence of a class by the step that gave it: declared, not measured (docs/roaming.md holds them against truth).
# A propagated class has its property's validated share instead, (validated + 1) / (with APN + 2).
CONFIDENCE: Final = {
    "apn": 0.99,
    "imsi_range": 0.99,
    "os": 0.95,
    "feature_phone": 0.95,
    "consumer_apn": 0.5,
    "none": 0.5,
}

# Makers of the modules in meters: the paper found two; a roaming meter of another maker is called doubtful.
METER_MAKERS: Final = "^(gemalto|telit|cinterion|thales)"

APN_TYPES: Final = {"apn": "text", "rank": "text", "kind": "text", "keyword": "text", "vertical": "text"}


def apn_meanings(
    apns: Sequence[str], keywords: Sequence[Keyword]
) -> list[tuple[str, str, str, str | None, str | None]]:
    """Rows of `apn_meanings`: apn, rank (4 digits, larger is earlier in the list), kind, keyword, vertical."""
    order = {keyword.text: 9999 - place for place, keyword in enumerate(keywords)}
    rows = []
    for apn in apns:
        said = meaning(apn, keywords)
        rows.append((apn, f"{order.get(said.keyword or '', 0):04d}", said.kind, said.keyword, said.vertical))
    return rows


def typed() -> str:
    """Devices with their properties; `property` is (manufacturer, model, OS, type), NULL if unknown."""
    return f"""
        SELECT d.*, t.vendor, t.model, t.os, t.type,
               CASE WHEN t.vendor IS NOT NULL AND t.model IS NOT NULL
                    THEN t.vendor || '|' || t.model || '|' || coalesce(t.os, '') || '|' || coalesce(t.type, '') END
                    AS property,
               coalesce(regexp_like(lower(t.os), '{SMARTPHONE_OS}'), false) AS smartphone_os,
               coalesce(regexp_like(lower(t.type), '{FEATURE_PHONE}'), false) AS feature_phone
        FROM devices d LEFT JOIN tac t ON d.tac = t.tac"""


def properties(*, guarded: bool = True) -> str:
    """Properties that make things of all their devices. Reads `typed`.

    Unguarded is the printed rule: every property of any validated device spreads. Guarded, never a smartphone OS or a
    feature phone, and only from VALIDATED_SHARE of the property's devices with an APN.
    """
    guard = (
        f"AND NOT smartphone_os AND NOT feature_phone AND validated >= {VALIDATED_SHARE} * bearing" if guarded else ""
    )
    return f"""
        SELECT property, validated, bearing FROM (
            SELECT property, smartphone_os, feature_phone, count(m2m_apn) AS validated,
                   count(CASE WHEN apns > 0 THEN 1 END) AS bearing
            FROM typed WHERE property IS NOT NULL GROUP BY property, smartphone_os, feature_phone
        ) p WHERE validated > 0 {guard}"""


def classified() -> str:
    """Every device with class, step, vertical, evidence and confidence. Reads `typed`, `properties`, `apn_meanings`."""
    constant = " ".join(f"WHEN '{step}' THEN {value}" for step, value in CONFIDENCE.items())
    return f"""
        SELECT c.*, CASE step WHEN 'apn' THEN 'm2m' WHEN 'imsi_range' THEN 'm2m' WHEN 'properties' THEN 'm2m'
                              WHEN 'os' THEN 'smart' WHEN 'feature_phone' THEN 'feat' WHEN 'consumer_apn' THEN 'feat'
                              ELSE 'm2m-maybe' END AS class,
               CAST(CASE step WHEN 'properties' THEN (validated + 1.0) / (bearing + 2.0) {constant} END AS DOUBLE)
                   AS confidence,
               CASE step
                    WHEN 'apn' THEN 'apn ' || substr(m2m_apn, 5) || ' contains ' || m2m_keyword
                    WHEN 'imsi_range' THEN 'imsi range ' || substr(imsi_range, 8)
                    WHEN 'properties' THEN 'properties ' || property || ': ' || CAST(validated AS STRING) || ' of '
                                           || CAST(bearing AS STRING) || ' with APN validated'
                    WHEN 'os' THEN 'os ' || os
                    WHEN 'feature_phone' THEN 'type ' || type
                    WHEN 'consumer_apn' THEN 'apn ' || substr(consumer_apn, 5) || ' contains ' || consumer_keyword
                    ELSE CASE WHEN apns > 0 THEN 'unknown apn' ELSE 'no apn' END
                         || CASE WHEN property IS NULL THEN ', unknown device type' ELSE ', ' || property END
               END AS evidence
        FROM ({_stepped()}) c"""


def _stepped() -> str:
    return """
        SELECT t.*, p.validated, p.bearing, a.keyword AS m2m_keyword, b.keyword AS consumer_keyword,
               CASE WHEN t.m2m_apn IS NOT NULL THEN 'apn' WHEN t.imsi_range LIKE 'meters:%' THEN 'imsi_range'
                    WHEN p.property IS NOT NULL THEN 'properties' WHEN t.smartphone_os THEN 'os'
                    WHEN t.feature_phone THEN 'feature_phone' WHEN t.consumer_apn IS NOT NULL THEN 'consumer_apn'
                    ELSE 'none' END AS step,
               CASE WHEN a.vertical IS NOT NULL THEN a.vertical
                    WHEN t.imsi_range LIKE 'meters:%' THEN 'energy' END AS vertical
        FROM typed t LEFT JOIN properties p ON t.property = p.property
        LEFT JOIN apn_meanings a ON substr(t.m2m_apn, 5) = a.apn
        LEFT JOIN apn_meanings b ON substr(t.consumer_apn, 5) = b.apn"""


def with_meters() -> str:
    """`classified` with the column `meter`: native (own meter range), roaming (I:H thing with an energy APN), doubtful.

    The manufacturer check: doubtful are roaming meters not built on a module of a maker known from meters.
    """
    return f"""
        SELECT c.*, CASE WHEN imsi_range LIKE 'meters:%' THEN 'native'
                         WHEN label = 'I:H' AND class = 'm2m' AND vertical = 'energy'
                         THEN CASE WHEN regexp_like(lower(coalesce(vendor, '')), '{METER_MAKERS}') THEN 'roaming'
                                   ELSE 'doubtful' END END AS meter
        FROM classified c"""


def output(*, keep_names: bool = False) -> str:
    """What `airshed roam classify` writes: device, label, class, vertical, evidence, confidence, and more."""
    return f"""
        SELECT {catalog.named("c.device", keep_names)} AS device, c.label, c.class, c.vertical, c.evidence,
               c.confidence, c.step, c.meter, c.sim AS sim_network, c.vendor, c.model, c.days
        FROM classes c {catalog.join_names("c", keep_names)}"""
