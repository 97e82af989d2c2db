"""The Grafana dashboard asks only for what our processes export, by labels they have."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from channel_status import records
from controller.metrics import Metrics
from controller.requests import Answer, Refusal
from gateway_agent.health import Health, _Counts
from monitoring.periodic.watcher import Watcher
from spectrum.eu868 import Subchannel
from spectrum.status import Lease

DASHBOARD: Final = Path(__file__).parents[2] / "hardware" / "grafana" / "airshed-site.json"
FUNCTIONS: Final = {"sum", "max", "min", "rate", "increase", "histogram_quantile", "by", "le"}


@pytest.fixture
def exported(make_bench) -> dict[str, set[str]]:
    """Every sample's name that controller, agents and console export, with its labels; each has counted something."""
    controller = Metrics()
    lease = Lease("1", "d", "gw", Subchannel(868.3e6, 125e3), 0.0, 1.0, 1, False)
    controller.answered([Answer("1", (lease,)), Answer("2", (), Refusal("invalid", "x"))], [0.1, 0.1])
    controller.also(Watcher().metrics)
    agent = CollectorRegistry()
    agent.register(_Counts(lambda: Health("online", (), {"uplinks": 1})))
    bench = make_bench()
    bench.scene.sense()
    bench.scene.attach()
    bench.scene.grant("d1")
    bench.act(action="ban", subchannel="868300000/125000")
    health = {"state": "running", "last_s": time.time(), "gain_db": 1.0, "clipping": 0.0, "lost_records": 0}
    bench.database.put("s", "sensor", {"roof": records.encode(health)})
    bench.hub.reader.look()
    found: dict[str, set[str]] = {}
    for text in (controller.text(), generate_latest(agent), bench.client.get("/metrics").content):
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries() -> list[tuple[str, str, str]]:
    """Panel, query and legend of everything the dashboard asks for."""
    dashboard = json.loads(DASHBOARD.read_text())
    return [
        (panel["title"], target["expr"], target["legendFormat"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def names_in(query: str) -> set[str]:
    """The metrics a query names."""
    return set(re.findall(r"\bairshed_\w+", query))


def test_the_dashboard_asks_for_what_is_exported(exported: dict[str, set[str]]) -> None:
    assert len(queries()) >= 25
    for title, query, legend in queries():
        names = names_in(query)
        assert names, title
        assert names <= set(exported), f"{title}: {names - set(exported)} is not exported"
        labels = set.intersection(*(exported[name] for name in names))
        asked = set(re.findall(r"\{\{(\w+)\}\}", legend)) | set(re.findall(r"by \((\w+)\)", query))
        asked |= set(re.findall(r"[{,]\s*(\w+)\s*=", query))
        assert asked <= labels, f"{title}: no label {asked - labels}"


def test_a_legend_names_only_labels_that_its_query_keeps() -> None:
    for title, query, legend in queries():
        kept = set(re.findall(r"by \((\w+)\)", query)) - {"le"}
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= kept, title


def test_queries_are_balanced_and_know_their_functions() -> None:
    for _, query, _ in queries():
        assert query.count("(") == query.count(")")
        words = set(re.findall(r"\b([a-z_]+)\s*\(", query)) - {"by"}
        assert words <= FUNCTIONS, words - FUNCTIONS
        for name in names_in(query):
            counts = name.endswith(("_total", "_bucket"))
            rated = bool(re.search(rf"(rate|increase)\({name}(\{{[^}}]*\}})?\[", query))
            assert counts == rated, f"{query}: counters are rated, gauges are not"


def test_the_dashboard_can_be_imported() -> None:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert dashboard["uid"] == "airshed-site"
    boxes = [panel["gridPos"] for panel in panels]
    for i, one in enumerate(boxes):
        assert one["x"] + one["w"] <= 24
        for other in boxes[i + 1 :]:
            apart = (
                one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            )  # fmt: skip
            assert apart, "panels overlap"
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels if panel["type"] != "row")
