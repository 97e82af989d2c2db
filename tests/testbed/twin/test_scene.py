"""Scene files: strict, told in one line; the ready ones; and noise that must never be a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectrum.errors import BadInput
from spectrum.site_file import parse_site
from testbed.twin.demo import SCENE
from testbed.twin.population import population
from testbed.twin.scene import parse_scene, read_scene
from testbed.twin.site_files import Ports, site_toml, write_keys
from testbed.twin.tally import borders_of

INTERFERER = '[[interferers]]\nname = "i"\ncenter_hz = 868e6\nx_m = 1.0\ny_m = 1.0\n'
SCENES = sorted(SCENE.parent.glob("*.toml"))
GATEWAY = '[[gateways]]\nname = "g"\nx_m = 1.0\ny_m = 1.0\n'
METERS = '[[device_groups]]\nname = "m"\ncount = 2\n'


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
def test_ready_scenes_are_sound(path: Path, tmp_path: Path) -> None:
    scene = read_scene(path)
    assert scene.name == path.stem
    members = population(scene)
    assert [one.name for one in members] == [one.name for one in population(read_scene(path))]
    sources = {sensor.name: "synthetic" for sensor in scene.sensors}
    text = site_toml(scene, members, Ports(1, 2, 3, 4, sources), tmp_path / "keys")
    site = parse_site(text, "site.toml")
    assert len(site.device) == sum(one.traffic.kind == "lora" and one.traffic.controlled for one in members)
    assert site.spectrum == scene.spectrum
    write_keys(scene, members, tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing required field `name`"),
        ('name = "s"\nsed = 1', "unknown key `sed`"),
        ('name = "s"\n[propagation]\nexponent = 9.0', "`propagation.exponent`"),
        ('name = "s"\n[propagation]\nfading = "nakagami"', "`propagation.fading`"),
        ('name = "s"\n[[sensors]]\nname = "a"\nx_m = 1.0', "`y_m`"),
        ('name = "s"\n' + GATEWAY + GATEWAY, "two things are called g"),
        ('name = "s"\n[map]\nwidth_m = 0.5\n' + GATEWAY, "beyond the map"),
        ('name = "s"\n' + METERS, "no .*gateways"),
        ('name = "s"\n' + GATEWAY + METERS + "spreading_factor = 6", "spreading_factor"),
        ('name = "s"\n' + GATEWAY + METERS + 'kind = "sigfox"\npayload_bytes = 13', "SigFox carries at most 12"),
        ('name = "s"\n' + GATEWAY + METERS + "period_s = 2.0\njitter_s = 2.0", "below its period_s"),
        ('name = "s"\n' + INTERFERER + "from_s = 5.0\nuntil_s = 5.0", "after from_s"),
        ('name = "s"\n' + INTERFERER + 'kind = "recording"', "`file`"),
        ('name = "s"\n' + INTERFERER + "eirp_dbm = nan", "interferers.*eirp_dbm"),
        ('name = "s"\n[propagation]\nshadowing_db = nan', "propagation.*shadowing_db"),
        ('name = "s"\nseconds = inf', "seconds.*finite"),
        ("name = [", "not a TOML file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_key_and_file(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as told:
        parse_scene(text, "s.toml")
    assert str(told.value).startswith("s.toml: ")
    assert "\n" not in str(told.value)


def test_a_recording_is_looked_for_beside_the_scene(tmp_path: Path) -> None:
    text = 'name = "s"\n[[interferers]]\nname = "i"\nkind = "recording"\ncenter_hz = 868e6\nx_m = 1.0\ny_m = 1.0\n'
    (tmp_path / "s.toml").write_text(text + 'file = "a.cu8"\n')
    with pytest.raises(BadInput, match=r"a\.cu8, and no such file"):
        read_scene(tmp_path / "s.toml")
    (tmp_path / "a.cu8").write_bytes(bytes(4))
    assert read_scene(tmp_path / "s.toml").interferers[0].file == str(tmp_path / "a.cu8")


TEXT = SCENE.read_text()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_scene_with_noise_in_it_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    length = data.draw(st.integers(0, 30))
    noise = data.draw(
        st.text(max_size=12) | st.sampled_from(["-1", "nan", "inf", "1e400", "[", "''", "\n[map]\n", "true"])
    )
    try:
        scene = parse_scene(TEXT[:start] + noise + TEXT[start + length :], "noise.toml")
    except BadInput as error:
        assert "\n" not in str(error).strip()
        return
    assert len(population(scene)) >= 0
    assert borders_of(scene).phase_of(-1.0) in (None, "before")
