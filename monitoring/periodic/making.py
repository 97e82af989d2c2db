"""Synthetic traces as files, with their truth beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.periodic.synthetic import Fleet, FleetSettings, Trace, paper_trace, smart_meter_fleet

if TYPE_CHECKING:
    import pyarrow as pa

    from monitoring.periodic.tasks import SyntheticOptions

PAPER_DEVICES: Final = 100
PAPER_RECEPTIONS: Final = 50


def paper(options: SyntheticOptions, out: Path) -> dict[str, Any]:
    """Devices of section 5 of paper E: columns device, time_s (, application) by time; truth per application."""
    rng = np.random.default_rng(options.seed)
    count = options.receptions or PAPER_RECEPTIONS
    second: Any = options.second
    traces = [
        paper_trace(rng, options.outage, count, options.applications, second)
        for _ in range(options.devices or PAPER_DEVICES)
    ]
    device = np.repeat(np.arange(len(traces)), [trace.times_s.size for trace in traces])
    times = np.concatenate([trace.times_s for trace in traces])
    labels = np.concatenate([trace.applications for trace in traces])
    order = np.argsort(times, kind="stable")
    columns: dict[str, Any] = {"device": _names("d", device[order]), "time_s": np.round(times[order], 6)}
    if options.labelled:
        columns["application"] = _names("a", labels[order])
    return _written(columns, _paper_truth(traces), out, len(traces))


def _paper_truth(traces: list[Trace]) -> dict[str, Any]:
    rows = [
        (f"d{number}", f"a{index}", stream.period_s, stream.offset_s, stream.sent, stream.times_s.size, stream.outage)
        for number, trace in enumerate(traces)
        for index, stream in enumerate(trace.streams)
    ]
    names = ("device", "application", "period_s", "offset_s", "sent", "received", "outage")
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def fleet(options: SyntheticOptions, out: Path) -> dict[str, Any]:
    """Smart meters like those of section 6: columns device, time_s, gateway by time; truth per device."""
    defaults = FleetSettings()
    settings = FleetSettings(
        devices=options.devices or defaults.devices, receptions=options.receptions or _share(options, defaults)
    )
    made = smart_meter_fleet(np.random.default_rng(options.seed), settings)
    columns = {
        "device": _names("m", made.device),
        "time_s": np.round(made.time_s, 3),
        "gateway": _names("C", made.gateway + 1),
    }
    return _written(columns, _fleet_truth(made), out, settings.devices)


def _share(options: SyntheticOptions, defaults: FleetSettings) -> int:
    """As many receptions per device as the paper's trace has."""
    return max(1, defaults.receptions * (options.devices or defaults.devices) // defaults.devices)


def _fleet_truth(made: Fleet) -> dict[str, Any]:
    sent = np.maximum(made.sent, 1)
    return {
        "device": _names("m", np.arange(made.period_s.size)),
        "period_s": made.period_s,
        "sent": made.sent,
        "received": made.received,
        "outage": 1 - made.received / sent,
    }


def _names(prefix: str, codes: Any) -> pa.Array:
    import pyarrow as pa

    names = pa.array([f"{prefix}{code}" for code in range(int(codes.max(initial=0)) + 1)])
    return names.take(pa.array(codes))


def _written(columns: dict[str, Any], truth: dict[str, Any], out: Path, devices: int) -> dict[str, Any]:
    import pyarrow as pa

    beside = out.with_name(f"{out.stem}.truth.csv")
    out.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    _save(table, out)
    _save(pa.table(truth), beside)
    return {"trace": str(out), "truth": str(beside), "receptions": table.num_rows, "devices": devices}


def _save(table: pa.Table, path: Path) -> None:
    partial = path.with_name(path.name + ".part")
    if path.suffix.lower() in {".parquet", ".pq"}:
        import pyarrow.parquet as pq

        pq.write_table(table, partial)
    else:
        from pyarrow import csv

        csv.write_csv(table, partial, csv.WriteOptions(quoting_style="none", quoting_header="none"))
    partial.replace(path)
