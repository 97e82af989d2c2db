"""The whole site in simulated time: the loop closes, the same run twice is the same, SigFox, joins, duty cycle."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from channel_status import records
from spectrum.errors import BadInput
from testbed.twin.air import Transmission
from testbed.twin.demo import SCENE
from testbed.twin.nodes import LorawanNode
from testbed.twin.scene import Scene, parse_scene, read_scene
from testbed.twin.simulated import SimulatedSite
from testbed.twin.summary import recovered, summary_text
from testbed.twin.tally import Share

HEAD = """
name = "s"
[map]
width_m = 400.0
height_m = 400.0
[[gateways]]
name = "gateway-1"
x_m = 200.0
y_m = 200.0
[[sensors]]
name = "roof"
x_m = 220.0
y_m = 200.0
[phases]
warm_up_s = 60.0
settle_s = 120.0
"""
METERS = '[[device_groups]]\nname = "meter"\ncount = 4\nperiod_s = 20.0\njitter_s = 2.0\nspreading_factor = 7\n'


def simulated(text: str, seconds: float, **changes: Any) -> SimulatedSite:
    """A site of HEAD and more, run for some seconds."""
    scene = msgspec.structs.replace(parse_scene(HEAD + text, "s.toml"), **changes)
    site = SimulatedSite(scene)
    site.run(seconds)
    return site


def test_the_loop_closes() -> None:
    interfered, steered, before = Share(), Share(), Share()
    verdicts = []
    for seed in range(1, 7):
        scene = msgspec.structs.replace(read_scene(SCENE), seed=seed)
        site = SimulatedSite(scene)
        site.run(scene.seconds)
        account = site.twin.tally.as_json()
        for share, name in ((before, "before"), (interfered, "during"), (steered, "after")):
            share.sent += account["phases"][name]["sent"]
            share.delivered += account["phases"][name]["delivered"]
        verdicts.append(recovered(account))
        assert "delivery ratio" in summary_text(site.summary(scene.seconds, 1.0))
    ratios = [share.delivered / share.sent for share in (before, interfered, steered)]
    assert ratios[1] < ratios[0] - 0.05
    assert ratios[2] > ratios[1] + 0.05
    assert verdicts.count(True) >= 3


def test_without_steering_nothing_recovers() -> None:
    """The same carrier over devices of strangers, whom nobody can move: what recovers above is the loop's doing."""
    scene = read_scene(SCENE)
    groups = tuple(msgspec.structs.replace(group, controlled=False) for group in scene.device_groups)
    ratios = {"before": Share(), "during": Share(), "after": Share()}
    for seed in range(1, 5):
        site = SimulatedSite(msgspec.structs.replace(scene, seed=seed, device_groups=groups))
        site.run(scene.seconds)
        for name, total in ratios.items():
            share = site.twin.tally.share(name, controlled=False)
            total.sent, total.delivered = total.sent + share.sent, total.delivered + share.delivered
    before, during, after = (share.ratio or 0.0 for share in ratios.values())
    assert during < before - 0.1
    assert after < before - 0.1


def test_a_run_again_is_the_same() -> None:
    first, again = (simulated(METERS, 300.0).twin.tally.as_json() for _ in range(2))
    assert first == again
    other = simulated(METERS, 300.0, seed=2).twin.tally.as_json()
    assert other["sent"] > 0
    assert other != first


def test_in_pieces_or_at_once_is_the_same() -> None:
    at_once = simulated(METERS, 200.0)
    pieces = simulated(METERS, 37.0)
    for until_s in (37.0, 120.3, 200.0):
        pieces.run(until_s)
    assert pieces.twin.tally.as_json() == at_once.twin.tally.as_json()


def test_devices_join_and_obey() -> None:
    site = simulated(METERS + 'activation = "otaa"\n', 400.0)
    for node in site.twin.nodes:
        assert isinstance(node, LorawanNode)
        assert node.device.joined
        leased = site.backend.agent.plans[node.member.name].centers_hz  # type: ignore[union-attr]
        assert node.device.enabled_hz == set(leased)
    # whatever a gateway decoded reached the network, once
    network = site.backend.agent.network  # type: ignore[union-attr]
    delivered = sum(not fate.reason for fate in site.twin.tally.fates)
    assert network.counts["uplinks"] == delivered == site.backend.link.uplinks
    assert network.counts["bad_mics"] == network.counts["malformed_frames"] == 0


def test_two_gateways_hear_one_frame_and_the_agent_takes_it_once() -> None:
    second = '[[gateways]]\nname = "gateway-2"\nx_m = 240.0\ny_m = 200.0\n'
    site = simulated(second + METERS, 300.0)
    assert site.twin.tally.counts["copies_at_other_gateways"] > 20
    agent = site.backend.agent
    assert agent is not None
    assert agent.counts["copies"] == site.twin.tally.counts["copies_at_other_gateways"]
    assert agent.network.counts["uplinks"] == sum(not fate.reason for fate in site.twin.tally.fates)


@pytest.mark.parametrize("controlled", [True, False])
def test_sigfox_sends_three_copies(controlled: bool) -> None:
    text = f'[[device_groups]]\nname = "b"\nkind = "sigfox"\ncount = 3\nperiod_s = 300.0\npayload_bytes = 4\n' \
           f"controlled = {str(controlled).lower()}\n"  # fmt: skip
    scene = msgspec.structs.replace(parse_scene(HEAD + text, "s.toml"))
    site = SimulatedSite(scene)
    heard = []
    site.twin.air.watch(heard.append)
    site.run(1100.0)
    assert len(heard) == 3 * len({(one.source, round(one.start_s // 300)) for one in heard})
    assert {one.copy for one in heard} == {0, 1, 2}
    assert all(868.034e6 <= one.center_hz <= 868.226e6 for one in heard)
    account = site.twin.tally.as_json()
    assert account["sent"] >= 8
    assert account["delivery_ratio"] == 1.0
    if controlled:
        assert site.backend.decisions()["granted"] > 0
        by_message = [heard[i : i + 3] for i in range(0, len(heard), 3)]
        for copies in by_message:  # one after the other, as the leases are
            assert all(one.end_s <= two.start_s + 1e-6 for one, two in pairwise(copies))


def test_duty_cycle_is_kept_and_what_it_holds_back_is_counted() -> None:
    text = METERS.replace("period_s = 20.0", "period_s = 3.0").replace("spreading_factor = 7", "spreading_factor = 10")
    site = simulated(text + "payload_bytes = 30\n", 700.0)
    counts = site.twin.tally.counts
    assert counts["held_back_by_duty_cycle"] > 0
    for node in site.twin.nodes:
        aired_s = sum(one.airtime_s for one in site.twin.sent_by_controlled if one.source == node.member.name)
        assert aired_s <= 2 * 36.0 + 1e-6  # sub-bands L and M, 1 % of an hour each


def test_a_scene_without_gateways_is_one_line() -> None:
    with pytest.raises(BadInput, match=r"no \[\[gateways\]\]"):
        SimulatedSite(Scene(name="s"))


def released_for(site: SimulatedSite) -> list[str]:
    """Why leases were given back, from the event stream."""
    events = site.backend.database.read(site.scene.name, "events", count=100_000)
    found = [records.decode(entry.value) for entry in events]
    return [event["reason"] for event in found if event["event"] == "released"]


def test_a_device_whose_frames_go_missing_gets_a_new_plan_if_the_site_says_so() -> None:
    scene = read_scene(SCENE)
    # deaf sensors: nobody but the gateway notices the carrier
    deaf = tuple(msgspec.structs.replace(sensor, noise_figure_db=30.0, memory_s=1e4) for sensor in scene.sensors)
    for lost, expected in ((None, False), (2, True)):
        steering = msgspec.structs.replace(scene.steering, replan_after_lost=lost)
        site = SimulatedSite(msgspec.structs.replace(scene, sensors=deaf, steering=steering))
        site.run(scene.seconds)
        assert any("frames are missing" in reason for reason in released_for(site)) == expected


@pytest.mark.parametrize("allowed", [True, False])
def test_mere_commands_go_into_rx2_only_where_the_site_says_so(allowed: bool) -> None:
    scene = read_scene(SCENE)
    steering = msgspec.structs.replace(scene.steering, rx2_for_commands=allowed)
    heard: list[Transmission] = []
    for seed in (1, 2):
        site = SimulatedSite(msgspec.structs.replace(scene, seed=seed, steering=steering))
        site.twin.air.watch(heard.append)
        site.run(20.0)
    downlinks_hz = [one.center_hz for one in heard if one.downlink]
    assert len(downlinks_hz) > 10
    assert (869.525e6 in downlinks_hz) == allowed


def test_a_burst_and_a_telegram_come_and_go() -> None:
    place = "x_m = 1.0\ny_m = 1.0\n"
    burst = '[[interferers]]\nname = "b"\nkind = "burst"\ncenter_hz = 868.5e6\non_s = 0.1\noff_s = 0.9\n'
    telegram = '[[interferers]]\nname = "w"\nkind = "wmbus"\ncenter_hz = 868.95e6\noff_s = 0.5\n'
    scene = parse_scene(HEAD + burst + place + "from_s = 2.0\nuntil_s = 12.0\n" + telegram + place, "s.toml")
    site = SimulatedSite(scene)
    heard = site.twin.air.transmissions_between(0.0, 1e9)  # the first of each is there from the beginning
    site.twin.air.watch(heard.append)
    site.run(200.0)
    bursts = [one for one in heard if one.source == "b"]
    assert [round(one.start_s, 6) for one in bursts] == [2.0 + i for i in range(10)]
    assert all(one.airtime_s == pytest.approx(0.1) for one in bursts)
    telegrams = [one for one in heard if one.source == "w"]
    assert 300 < len(telegrams) < 440  # 200 s of 0.05 s on and 0.5 s off on average, some deviations either way
    assert site.twin.tally.borders.cleared_s == 12.0
