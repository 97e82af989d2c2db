"""Identifiers never leave hashed; exports are k-anonymous; results expire."""

from __future__ import annotations

import json
import os
import stat
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from monitoring.roaming.command import roam
from monitoring.roaming.export import REST, k_anonymous
from monitoring.roaming.privacy import SiteKey, as_text, read_or_make_key
from monitoring.roaming.retention import purge
from spectrum.errors import BadInput


def test_pseudonym_is_keyed_blake2b() -> None:
    key = bytes(range(32))
    expected = blake2b(b"234100000000007", digest_size=8, key=key).hexdigest()
    assert as_text(SiteKey(key).pseudonym("234100000000007")) == expected
    assert SiteKey(bytes(32)).pseudonym("a") != SiteKey(key).pseudonym("a")
    assert repr(SiteKey(key)) == "SiteKey(...)"


def test_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    key = read_or_make_key(path)
    assert read_or_make_key(path).secret == key.secret
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    path.write_text("not a key")
    with pytest.raises(BadInput, match="64 hexadecimal digits"):
        read_or_make_key(path)


@pytest.mark.parametrize("command", ["classify", "catalog", "report", "platform", "export"])
def test_no_identifier_is_in_any_result(write_folder: Any, row: Any, command: str) -> None:
    secrets = [f"2341099988877{n:02d}" for n in range(4)]
    platform = {"device": secrets[3], "sim_mcc": "214", "sim_mnc": "07", "visited_mcc": "208", "visited_mnc": "01"}
    folder = write_folder(
        radio=[row.radio(secrets[0]), row.radio(secrets[1], rat="bad")],
        cdr=[row.cdr(secrets[2], bytes=-1), row.cdr(secrets[2])],
        platform=[{**platform, "time": "2019-04-05T12:00:00Z", "procedure": "authentication", "result": "OK"}] * 300,
    )
    result = CliRunner().invoke(roam, [command, str(folder), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    written = b"".join(path.read_bytes() for path in (folder / "results").rglob("*") if path.is_file())
    for secret in secrets:
        assert secret not in result.stdout
        assert secret.encode() not in written
    assert not (folder / "results" / "staging").exists()


def test_pseudonym_command_finds_a_device_again(write_folder: Any, row: Any) -> None:
    folder = write_folder(radio=[row.radio("alice")])
    found = json.loads(CliRunner().invoke(roam, ["classify", str(folder), "--json"]).stdout)
    arguments = ["pseudonym", "alice", "--site-key", str(folder / "site.key"), "--json"]
    assert json.loads(CliRunner().invoke(roam, arguments).stdout) == {"alice": found["devices"][0]["device"]}


@given(st.dictionaries(st.tuples(*[st.sampled_from("abc")] * 3), st.integers(1, 30), max_size=20), st.integers(2, 15))
def test_every_exported_row_stands_for_k_devices(groups: dict[tuple[str, ...], int], k: int) -> None:
    kept, withheld = k_anonymous(list(groups.items()), k)
    assert all(count >= k for _, count in kept)
    assert withheld < k or not groups
    assert sum(count for _, count in kept) + withheld == sum(groups.values())
    exact = {key: count for key, count in kept if REST not in key}
    assert all(groups[key] == count for key, count in exact.items())


def test_a_small_group_loses_its_first_attribute_first() -> None:
    groups = [(("Gemalto", "NL"), 12), (("Telit", "NL"), 4), (("Quectel", "NL"), 7), (("Doro", "SE"), 3)]
    kept, withheld = k_anonymous(groups, 10)
    assert kept == [(("Gemalto", "NL"), 12), ((REST, "NL"), 11)]
    assert withheld == 3


def test_report_withholds_small_rows(population: Path, tmp_path: Path) -> None:
    arguments = ["report", str(population), "--json", "--k", "50", "--out", str(tmp_path)]
    result = CliRunner().invoke(roam, [*arguments, "--site-key", str(tmp_path / "key")], catch_exceptions=False)
    figures = json.loads(result.stdout)["figures"]
    counted = [figure for figure in figures if "devices" in figure["columns"]]
    assert len(counted) == len(figures)
    for figure in counted:
        place = figure["columns"].index("devices")
        assert all(row[place] >= 50 for row in figure["rows"])
    assert any("withheld" in figure["note"] for figure in figures)


def test_purge_removes_only_what_is_too_old(tmp_path: Path) -> None:
    old, new = tmp_path / "catalog" / "old.parquet", tmp_path / "new.csv"
    old.parent.mkdir()
    for path in (old, new):
        path.write_text("x")
    now_s = new.stat().st_mtime + 10 * 86_400
    os.utime(old, (now_s - 11 * 86_400, now_s - 11 * 86_400))
    assert purge(tmp_path, 10, now_s) == [old]
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]
