"""The channel map on a terminal: a row a subchannel, its states by time as a strip. Pure: states in, text out."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

Json = Mapping[str, Any]

# A sign and a colour for each state: either alone tells them apart.
SIGNS: Final = {"idle": ("·", "green"), "busy": ("█", "red"), "leased": ("▪", "cyan"),
                "banned": ("x", "magenta"), "silent": (" ", "dim")}  # fmt: skip
LONGEST_STRIP: Final = 400
SORTS: Final = ("frequency", "occupancy", "power")
SHOWN: Final = ("all", "lora", "sigfox")
HELP: Final = "q end   p pause   s sort   t technology   h legend"


@dataclass(slots=True)
class MapView:
    """What the viewer has chosen, and what has been seen so far. strips: states of each subchannel, oldest first."""

    sort: str = "frequency"
    shown: str = "all"
    paused: bool = False
    legend: bool = False
    ended: bool = False
    strips: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=LONGEST_STRIP)))

    def press(self, key: str) -> None:
        """A key was pressed; others than those of HELP do nothing."""
        if key == "q":
            self.ended = True
        elif key == "p":
            self.paused = not self.paused
        elif key == "h":
            self.legend = not self.legend
        elif key == "s":
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        elif key == "t":
            self.shown = SHOWN[(SHOWN.index(self.shown) + 1) % len(SHOWN)]

    def add(self, channels: Json) -> None:
        """One more look."""
        for row in channels["subchannels"]:
            self.strips[row["key"]].append(row["state"])


@dataclass(frozen=True, slots=True)
class _Column:
    """heading; least: width of the terminal from which it is shown."""

    heading: str
    least: int


COLUMNS: Final = (
    _Column("MHz", 0), _Column("kHz", 100), _Column("state", 0), _Column("E_c", 0), _Column("E_th", 72),
    _Column("Pr(H1)", 50), _Column("95 %", 110), _Column("Pf", 84), _Column("Pm", 84), _Column("leases", 60),
    _Column("holder", 130), _Column("flags", 150),
)  # fmt: skip


def summary_line(state: Json) -> str:
    """The site in one line, for whoever has no terminal."""
    channels = state["channels"]
    by_state: dict[str, int] = defaultdict(int)
    for row in channels["subchannels"]:
        by_state[row["state"]] += 1
    counts = ", ".join(f"{by_state[name]} {name}" for name in SIGNS if by_state[name])
    now_s = channels["time_s"]
    held = sum(lease["start_s"] <= now_s for lease in state["leases"]["leases"])
    attached = [one["gateway"] for one in state["gateways"]["gateways"] if one["state"] == "attached"]
    offline = sum(device["offline"] for device in state["devices"]["devices"])
    return (
        f"{_clock(now_s)} sensing {channels['sensing']}: {counts}; {held} leases now, "
        f"gateways {', '.join(attached) or 'none'}, {offline} devices offline"
    )


def map_group(state: Json, view: MapView, site: str, width: int, height: int, away: str = "") -> Group:
    """The whole picture for a terminal of `width` columns and `height` lines. away: why the database is not read."""
    from rich.console import Group
    from rich.text import Text

    head = Text(f"{site}  {summary_line(state)}", no_wrap=True, overflow="ellipsis")
    parts: list[Any] = [head]
    if away:
        parts.append(Text(f"what is shown is old: {away}", style="bold red", no_wrap=True, overflow="ellipsis"))
    table, left_out = map_table(state, view, width, height - len(parts) - 4 - (len(SIGNS) if view.legend else 0))
    parts.append(table)
    if left_out:
        parts.append(Text(f"{left_out} more subchannels: a taller window shows them", style="dim"))
    if view.legend:
        parts += [Text(f" {sign} {name}", style=style) for name, (sign, style) in SIGNS.items()]
    chosen = f"by {view.sort}, {view.shown}{', paused' if view.paused else ''}"
    parts.append(Text(f"{HELP}   ({chosen})", style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def map_table(state: Json, view: MapView, width: int, most: int) -> tuple[Table, int]:
    """The table with at most `most` rows, and how many were left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = _chosen(state["channels"]["subchannels"], view)
    holders = _holders(state)
    columns = [column for column in COLUMNS if width >= column.least]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column in columns:
        left = column.heading in ("state", "holder", "flags")
        table.add_column(column.heading, justify="left" if left else "right", no_wrap=True, overflow="ellipsis")
    used = sum(max(len(column.heading), 9) for column in columns) + len(columns)
    strip = max(0, min(LONGEST_STRIP, width - used - 2))
    if strip >= 8:
        table.add_column("latest on the right", no_wrap=True, width=strip)
    for row in rows[: max(most, 1)]:
        cells = _cells(row, holders)
        line: list[Any] = [Text(cells[column.heading], style=_style(row, column.heading)) for column in columns]
        if strip >= 8:
            line.append(_strip(list(view.strips[row["key"]])[-strip:], strip))
        table.add_row(*line)
    return table, max(0, len(rows) - max(most, 1))


def _chosen(rows: Sequence[Json], view: MapView) -> list[Json]:
    wanted = [row for row in rows if view.shown in ("all", row["technology"])]
    if view.sort == "occupancy":
        return sorted(wanted, key=lambda row: -(row["occupancy"] if row["occupancy"] is not None else -1.0))
    if view.sort == "power":
        return sorted(wanted, key=lambda row: -(row["energy_dbfs"] if row["energy_dbfs"] is not None else -1e3))
    return sorted(wanted, key=lambda row: row["subchannel_hz"])


def _holders(state: Json) -> dict[str, list[str]]:
    now_s = state["channels"]["time_s"]
    holders: dict[str, list[str]] = defaultdict(list)
    for lease in state["leases"]["leases"]:
        if lease["start_s"] <= now_s:
            holders[lease["key"]].append(lease["device"])
    return holders


def _cells(row: Json, holders: Mapping[str, list[str]]) -> dict[str, str]:
    by = holders.get(row["key"], [])
    pinned = "*" if row["rule"] == "pinned" else ""
    return {
        "MHz": f"{row['subchannel_hz'] / 1e6:.4f}",
        "kHz": f"{row['bandwidth_hz'] / 1e3:g}",
        "state": f"{SIGNS[row['state']][0]} {row['state']}{pinned}",
        "E_c": _level(row["energy_dbfs"]),
        "E_th": _level(row["threshold_dbfs"]),
        "Pr(H1)": _share(row["occupancy"]),
        "95 %": "" if row["occupancy_low"] is None else f"{row['occupancy_low']:.2f}-{row['occupancy_high']:.2f}",
        "Pf": _share(row["pf"]),
        "Pm": _share(row["pm"]),
        "leases": f"{row['leases_now']}+{row['leases_next']}",
        "holder": by[0] + (f" +{len(by) - 1}" if len(by) > 1 else "") if by else "",
        "flags": " ".join(row["flags"]),
    }


def _style(row: Json, heading: str) -> str:
    return SIGNS[row["state"]][1] if heading == "state" else ""


def _strip(states: Sequence[str], width: int) -> Any:
    from rich.text import Text

    text = Text(" " * (width - len(states)))
    for name in states:
        text.append(*SIGNS[name])
    return text


def _level(level_dbfs: float | None) -> str:
    return "" if level_dbfs is None else f"{level_dbfs:.1f}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _clock(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, tz=UTC).astimezone():%H:%M:%S}"
