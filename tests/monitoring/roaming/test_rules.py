"""The classification in steps: cases by hand, and a plain reading of the notes over a population."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from monitoring.roaming.apn import Keyword, meaning, network_identifier, own_keywords, read_keywords
from spectrum.errors import BadInput

ENERGY = "smhp.centricaplc.com.mnc004.mcc204.gprs"
MODULE, PHONE, FEATURE = "35000001", "35000002", "35000003"


@pytest.fixture
def tacs(row: Any) -> list[dict[str, Any]]:
    return [
        row.tac(MODULE, "Gemalto", "EHS5"),
        row.tac(PHONE, "Apple", "iPhone", "iOS 12", "smartphone"),
        row.tac(FEATURE, "Nokia", "3310", "", "feature phone"),
    ]


def classes(found: dict[str, Any]) -> dict[str, str]:
    return {entry["device"]: entry["class"] for entry in found["devices"]}


def test_every_step_by_hand(write_folder: Any, row: Any, roam_json: Any, tacs: Any) -> None:
    radio = [
        row.radio("meter", "20404", tac=MODULE),
        row.radio("silent meter", "20404", tac=MODULE),
        row.radio("phone", tac=PHONE),
        row.radio("phone without apn", tac=PHONE),
        row.radio("phone of a thing", tac=PHONE),
        row.radio("feature phone", tac=FEATURE),
        row.radio("dongle", tac=""),
        row.radio("unknown apn", tac="99999999"),
        row.radio("nothing known", tac=""),
    ]
    cdr = [
        row.cdr("meter", "20404", apn=ENERGY, bytes=1),
        row.cdr("phone", apn="internet", bytes=1),
        row.cdr("phone of a thing", apn="intelligent.m2m", bytes=1),
        row.cdr("dongle", apn="PayAndGo.o2.co.uk", bytes=1),
        row.cdr("unknown apn", apn="vpn.example.com", bytes=1),
    ]
    found = roam_json("classify", write_folder(radio=radio, cdr=cdr, tac=tacs))
    assert classes(found) == {
        "meter": "m2m",
        "silent meter": "m2m",
        "phone": "smart",
        "phone without apn": "smart",
        "phone of a thing": "m2m",
        "feature phone": "feat",
        "dongle": "feat",
        "unknown apn": "m2m-maybe",
        "nothing known": "m2m-maybe",
    }
    entries = {entry["device"]: entry for entry in found["devices"]}
    assert entries["meter"]["vertical"] == "energy"
    assert entries["meter"]["meter"] == "roaming"
    assert "centricaplc" in entries["meter"]["evidence"]
    assert "1 of 1" in entries["silent meter"]["evidence"]
    assert entries["silent meter"]["vertical"] is None
    assert entries["unknown apn"]["evidence"].startswith("unknown apn")
    assert all(0 < entry["confidence"] <= 1 for entry in entries.values())


def test_unguarded_spreading_turns_phones_into_things(write_folder: Any, row: Any, roam_json: Any, tacs: Any) -> None:
    radio = [row.radio(name, tac=tac) for name, tac in (("odd", PHONE), ("phone", PHONE), ("feature", FEATURE))]
    folder = write_folder(radio=radio, cdr=[row.cdr("odd", apn="m2m.tele2.com", bytes=1)], tac=tacs)
    assert classes(roam_json("classify", folder)) == {"odd": "m2m", "phone": "smart", "feature": "feat"}
    assert classes(roam_json("classify", folder, "--unguarded")) == {"odd": "m2m", "phone": "m2m", "feature": "feat"}


@pytest.mark.parametrize(("consumers", "spreads"), [(0, True), (1, True), (2, False)])
def test_a_property_spreads_from_half_of_its_devices_with_apn(
    write_folder: Any, row: Any, roam_json: Any, tacs: Any, consumers: int, spreads: bool
) -> None:
    radio = [row.radio(name, tac=MODULE) for name in ("thing", "silent", *(f"c{n}" for n in range(consumers)))]
    cdr = [row.cdr("thing", apn="scania.net", bytes=1)]
    cdr += [row.cdr(f"c{n}", apn="internet", bytes=1) for n in range(consumers)]
    found = classes(roam_json("classify", write_folder(radio=radio, cdr=cdr, tac=tacs)))
    assert found["silent"] == ("m2m" if spreads else "m2m-maybe")
    assert all(found[f"c{n}"] == ("m2m" if spreads else "feat") for n in range(consumers))


def test_devices_of_unknown_type_share_no_property(write_folder: Any, row: Any, roam_json: Any) -> None:
    radio = [row.radio("thing", tac=""), row.radio("other", tac=""), row.radio("third", tac="99999999")]
    folder = write_folder(radio=radio, cdr=[row.cdr("thing", apn="scania.net", bytes=1)])
    assert classes(roam_json("classify", folder)) == {"thing": "m2m", "other": "m2m-maybe", "third": "m2m-maybe"}


def test_an_apn_on_one_day_counts_for_the_period_and_abroad(write_folder: Any, row: Any, roam_json: Any) -> None:
    cdr = [
        row.cdr("car", visited="20801", apn="connectedcar.x", bytes=1),
        row.cdr("car", visited="20801", time="2019-04-07T00:00:00Z"),
    ]
    [entry] = roam_json("classify", write_folder(cdr=cdr))["devices"]
    assert (entry["label"], entry["class"], entry["vertical"], entry["days"]) == ("H:A", "m2m", "automotive", 2)


def test_native_meters_by_imsi_range_and_maker_check(write_folder: Any, row: Any, roam_json: Any, tacs: Any) -> None:
    network = """own = ["23410"]
[[imsi_range]]
name = "smip"
use = "meters"
first = "234100000000000"
last = "234100999999999"
"""
    radio = [
        row.radio("234100000000007"),
        row.radio("204040000000007", "20404", tac=MODULE),
        row.radio("204040000000008", "20404", tac=PHONE),
        row.radio("234101000000000"),
    ]
    cdr = [row.cdr(f"20404000000000{n}", "20404", apn=ENERGY, bytes=1) for n in (7, 8)]
    found = roam_json("classify", write_folder(network, radio=radio, cdr=cdr, tac=tacs))
    meters = {entry["device"]: (entry["class"], entry["vertical"], entry["meter"]) for entry in found["devices"]}
    assert meters == {
        "234100000000007": ("m2m", "energy", "native"),
        "204040000000007": ("m2m", "energy", "roaming"),
        "204040000000008": ("m2m", "energy", "doubtful"),  # an energy APN, but a phone's maker
        "234101000000000": ("m2m", None, None),  # past the range; a thing by its module
    }


def plain_classes(folder: Path) -> dict[str, str]:
    """The notes read plainly, one device at a time."""
    radio, cdr = (pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("radio", "cdr"))
    catalogue = {row["tac"]: row for row in pq.read_table(folder / "tac.parquet").to_pylist()}
    tacs: dict[str, Counter[str]] = defaultdict(Counter)
    apns: dict[str, set[str]] = defaultdict(set)
    for row in [*radio, *cdr]:
        tacs[row["user"]].update([row["tac"]] if row["tac"] else [])
        apns[row["user"]] |= {row["apn"]} if row.get("apn") else set()
    words = {kind: [word.text for word in own_keywords() if word.kind == kind] for kind in ("m2m", "consumer")}

    def says(user: str, kind: str) -> bool:
        names = [re.sub(r"\.mnc\d+\.mcc\d+\.gprs$", "", apn.lower()) for apn in apns[user]]
        return any(word in name for name in names for word in words[kind])

    users = {row["user"] for row in [*radio, *cdr]}
    kinds = {user: catalogue.get(tacs[user].most_common(1)[0][0]) if tacs[user] else None for user in users}
    properties = {
        user: tuple(kind[k] for k in ("vendor", "model", "os", "type")) if kind else None
        for user, kind in kinds.items()
    }
    bearing = Counter(properties[user] for user in users if apns[user])
    validated = Counter(properties[user] for user in users if says(user, "m2m"))
    found = {}
    for user in users:
        kind = kinds[user] or {"os": "", "type": ""}
        phone, feature = (
            kind["os"].lower().startswith(("android", "ios", "blackberry")),
            kind["type"] == "feature phone",
        )
        share = (
            properties[user]
            and validated[properties[user]]
            and 2 * validated[properties[user]] >= bearing[properties[user]]
        )
        validated_itself = says(user, "m2m") or user.startswith("234100")
        if validated_itself or (share and not phone and not feature):
            found[user] = "m2m"
        elif phone:
            found[user] = "smart"
        else:
            found[user] = "feat" if feature or says(user, "consumer") else "m2m-maybe"
    return found


def test_population_is_classified_as_the_notes_read_plainly(few: Path, roam_json: Any, tmp_path: Path) -> None:
    found = roam_json("classify", few, "--out", str(tmp_path), "--site-key", str(tmp_path / "key"))
    expected = plain_classes(few)
    assert len(set(expected.values())) == 4
    assert classes(found) == expected


@pytest.mark.parametrize(
    ("apn", "name"),
    [
        ("SMHP.CentricaPLC.com.MNC004.MCC204.GPRS", "smhp.centricaplc.com"),
        ("internet.mnc10.mcc234.gprs", "internet"),
        ("internet", "internet"),
        ("a.mnc004.mcc204.gprs.example", "a.mnc004.mcc204.gprs.example"),
    ],
)
def test_network_identifier(apn: str, name: str) -> None:
    assert network_identifier(apn) == name


@pytest.mark.parametrize(
    ("apn", "kind", "vertical"),
    [
        ("meters.rwe.de", "m2m", "energy"),
        ("internet.norwegian.no", "consumer", None),  # rwe within norwegian is chance
        ("scania.internet", "m2m", "automotive"),  # a validated keyword goes before a consumer one
        ("xINTELLIGENT.M2Mx", "m2m", "platform"),
        ("corporate.example", "unknown", None),
        ("m.mnc010.mcc234.gprs", "unknown", None),
    ],
)
def test_meaning_of_an_apn(apn: str, kind: str, vertical: str | None) -> None:
    said = meaning(apn, own_keywords())
    assert (said.kind, said.vertical) == (kind, vertical)


def test_keyword_list_is_sound_and_sourced() -> None:
    words = own_keywords()
    assert len([word for word in words if word.kind == "m2m"]) == 26
    assert all(word.source and word.text == word.text.lower() for word in words)
    assert len({word.text for word in words}) == len(words)


def test_own_keywords_of_a_site(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["keyword", "kind", "vertical", "unless", "source"], ["Pump", "m2m", "water", "", "own"]]
        )
    assert read_keywords(path) == (Keyword("pump", "m2m", "water", None, "own"),)
    path.write_text("keyword,kind\npump,m2m\n")
    with pytest.raises(BadInput, match="expected the columns keyword, kind, vertical, unless, source"):
        read_keywords(path)
