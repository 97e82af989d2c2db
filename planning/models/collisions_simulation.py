"""The truth for paper C: frames heard by several gateways at once, judged symbol by symbol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planning.models.airtimes import Floats
from planning.models.capture_simulation import assign_paths
from planning.models.collisions_model import SYMBOL_S, TOLERATED, Network
from planning.models.intervals import Estimate, frames_of_replication, of_share


@dataclass(frozen=True, slots=True)
class CollisionsEstimate:
    """Over replications. device_outage by group, the others by gateway.

    gateway_outage: of the frames a gateway hears. undetected: of the frames heard. blocked: of those detected.
    gaps_s: times between detections at the first gateway, all replications.
    """

    device_outage: tuple[Estimate, ...]
    gateway_outage: tuple[Estimate, ...]
    undetected: tuple[Estimate, ...]
    blocked: tuple[Estimate, ...]
    gaps_s: Floats


def simulate_collisions(
    network: Network,
    rates_per_s: Floats,
    rng: np.random.Generator,
    *,
    frames: int = 20_000,
    replications: int = 10,
    whole_frame: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> CollisionsEstimate:
    """Simulate the network; rates_per_s: of the groups, shape (groups,).

    Each frame draws which gateways hear it, so two gateways often meet the same interferer. A gateway detects a frame
    after four clean preamble symbols in a row, gives it a path until its end if one is free, and receives it when the
    symbols after the preamble are clean. whole_frame: the preamble must be clean too, as the model has it.
    """
    longest_s = float(network.frame.airtimes_s.max())
    frames = frames_of_replication(frames, float(rates_per_s.sum()), network.channels, longest_s)
    rows = []
    gaps = []
    for _ in range(replications):
        devices, at_gateways, between_s = _replication(network, rates_per_s, rng, frames, whole_frame)
        rows.append((devices, *at_gateways))
        gaps.append(between_s)
        advance()
    shares = rates_per_s / rates_per_s.sum()
    counted = (shares, *[shares @ network.links] * 3)  # of all frames: sent by a group, heard by a gateway
    devices_out, gateways_out, undetected, blocked = (
        tuple(
            of_share(values, max(1, int(among * frames * replications)))
            for values, among in zip(np.transpose([row[column] for row in rows]), counted[column], strict=True)
        )
        for column in range(4)
    )
    return CollisionsEstimate(devices_out, gateways_out, undetected, blocked, gaps_s=np.concatenate(gaps))


def _replication(
    network: Network, rates_per_s: Floats, rng: np.random.Generator, frames: int, whole_frame: bool
) -> tuple[Floats, tuple[Floats, Floats, Floats], Floats]:
    """Device outage by group; gateway outage, undetected and blocked shares; gaps between detections."""
    groups, count = network.links.shape
    airtimes_s = network.frame.airtimes_s
    start_s = np.sort(rng.uniform(0.0, frames / rates_per_s.sum(), frames))
    group = rng.choice(groups, size=frames, p=rates_per_s / rates_per_s.sum())
    spreading = rng.choice(6, size=frames, p=network.alpha)
    channel = rng.integers(network.channels, size=frames)
    heard = rng.random((frames, count)) < network.links[group]
    kept = (start_s > 2.0 * airtimes_s.max()) & (start_s < start_s[-1] - airtimes_s.max())
    received = np.zeros((frames, count), dtype=bool)
    outage, undetected, blocked = np.zeros(count), np.zeros(count), np.zeros(count)
    gaps_s = np.zeros(0)
    for gateway in range(count):
        ears = heard[:, gateway]
        got, detected_s, path = _gateway(network, start_s[ears], spreading[ears], channel[ears], whole_frame)
        received[ears, gateway] = got
        counted = kept[ears]
        detected = counted & np.isfinite(detected_s)
        outage[gateway] = _share(~got, counted)
        undetected[gateway] = _share(~np.isfinite(detected_s), counted)
        blocked[gateway] = _share(~path, detected)
        if gateway == 0:
            gaps_s = np.diff(np.sort(detected_s[detected]))
    lost = np.asarray(~received.any(axis=1))
    devices = np.array([_share(lost, kept & (group == index)) for index in range(groups)])
    return devices, (outage, undetected, blocked), gaps_s


def _gateway(
    network: Network,
    start_s: Floats,
    spreading: npt.NDArray[np.int64],
    channel: npt.NDArray[np.int64],
    whole_frame: bool,
) -> tuple[npt.NDArray[np.bool_], Floats, npt.NDArray[np.bool_]]:
    """Received, time of detection (inf: never), path found, for the frames that one gateway hears."""
    from planning.models.collisions_kernels import judge_gateway

    frame = network.frame
    symbols = np.array([frame.symbols(factor) for factor in range(6)])
    frame_clean, payload_clean, detected_s = judge_gateway(
        start_s,
        spreading,
        channel,
        frame.airtimes_s,
        SYMBOL_S,
        symbols,
        int(frame.preamble_symbols),
        TOLERATED,
    )
    path = assign_paths(detected_s, start_s + frame.airtimes_s[spreading], network.paths)
    return path & (frame_clean if whole_frame else payload_clean), detected_s, path


def _share(flags: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float:
    """Share of the flags that are set among some; 0 of none."""
    return float(flags[among].mean()) if among.any() else 0.0
