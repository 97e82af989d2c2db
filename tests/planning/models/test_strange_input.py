"""What no model can answer ends with status 2 and one line that says what was expected, never with a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Refuses = Callable[..., str]
TOWN = str(Path(__file__).parents[3] / "hardware" / "sites" / "town.toml")

STRANGE = """
latency --bands G --load 1
latency --bands G --load -0.1
latency --bands G --load nan
latency --bands G --load inf
latency --bands X --load 0.5
latency --bands , --load 0.5
latency --bands G,G --load 0.5
latency --bands G --rate -1
latency --bands G --rate 0
latency --bands G --rate nan
latency --bands G --rate 1e300
latency --bands G --rate 0.01 --load 0.5
latency --bands G
latency --bands G --load 0.5 --devices 0
latency --bands G --load 0.5 --devices 1e6
latency --bands G --load 0.5 --spreading-factor 13
latency --bands G --load 0.5 --payload 256
latency --bands G --load 0.5 --airtime-s 0
latency --bands G --load 0.5 --airtime-s nan
latency --bands G --load 0.5 --aggregated-duty-cycle 0
latency --bands G --load 0.5 --aggregated-duty-cycle 1.5
latency --bands G --load 0.5 --aggregated-duty-cycle nan
latency --bands G --load 0.5 --receive-windows -1
latency --bands G --load 0.5 --receive-windows nan
latency --bands G --load 0.5 --sf-shares 7=2
latency --bands G --load 0.5 --sf-shares 7=0.5,6=0.5
latency --bands G --load 0.5 --sf-shares 7=nan
latency --bands G --load 0.5 --channels 0
latency --bands G --load 0.5 --channels 1,2
latency --bands G --load 0.5 --channels x
latency --bands G,G1,G2 --load 0.5 --method exact
capture --devices 0
capture --devices -3
capture --devices 100 --rate -1
capture --devices 100 --rate nan
capture --devices 100 --rate inf
capture --devices 100 --rate 0
capture --devices 100 --rate 5
capture --devices 100 --radius-m 0
capture --devices 100 --radius-m nan
capture --devices 100 --radius-m 1e12
capture --devices 100 --payload 12
capture --devices 100 --channels 0
capture --devices 100 --allocation best
capture --devices 100 --printed-shares --allocation uniform
collisions --devices 5
collisions --links missing.csv
collisions --links {empty}
collisions --links {words}
collisions --links {above}
collisions --links {nan}
collisions --links {ragged}
collisions --links {binary}
collisions --links {links} --devices -1
collisions --links {links} --devices 5,5,5
collisions --links {links} --devices many
collisions --links {links} --devices 0
collisions --links {links} --rate 0
collisions --links {links} --rate nan
collisions --links {links} --rate -0.1
collisions --links {links} --rate 1e9
collisions --links {links} --distribution 12
collisions --links {links} --distribution 12,13
queue --servers 0 --service-time 1 --rate 1
queue --servers 2 --service-time 0 --rate 1
queue --servers 2 --service-time -1 --rate 1
queue --servers 2 --service-time nan --rate 1
queue --servers 2 --service-time 1e300 --rate 1
queue --servers 2 --service-time 1 --rate nan
queue --servers 2 --service-time 1 --rate inf
queue --servers 2 --service-time 1 --rate -2
queue --servers 2 --service-time 1 --rate 1 --outage 1.1
queue --servers 2 --service-time 1 --rate 1 --outage nan
queue --servers 2 --service-time 1
queue --servers 2 --rate 1
queue --servers 2 --service-time 1,2 --shares 0.5 --rate 1
queue --servers 2 --service-time 1,2 --shares 0.5,0.6 --rate 1
queue --servers 2 --service-time 1,2 --shares -0.5,1.5 --rate 1
queue --servers 2 --service-time 1 --arrivals degenerate
queue --servers 2 --service-time 1 --arrivals degenerate --gaps 0
queue --servers 2 --service-time 1 --arrivals degenerate --gaps 1,inf
queue --servers 2 --service-time 1 --arrivals degenerate --gaps 1,x
queue --servers 2 --service-time 1 --arrivals degenerate --gaps 1,2 --probabilities 1
queue --servers 2 --service-time 1 --arrivals degenerate --gaps 1,2 --probabilities 2,-1
queue --servers 2 --service-time 1 --arrivals missing.txt
queue --servers 2 --service-time 1 --arrivals {empty}
queue --servers 2 --service-time 1 --arrivals {binary}
queue --servers 2 --service-time 1 --arrivals {falling}
queue --servers 2 --service-time 1 --arrivals {far}
queue --servers 2 --service-time 1 --arrivals {times} --outage 1
pool
pool --devices 0
pool --devices 99999999999
pool --devices 10 --error-rate 1.2
pool --devices 10 --error-rate nan
pool --devices 10 --error-rate 1
pool --devices 10 --max-transmissions 0
pool --devices 10 --target 0
pool --devices 10 --target 1
pool --devices 10 --target nan
pool --devices 10 --target 1e-12
pool --devices 1000 --capacity 1
pool --devices 10 --reports-per-interval 0
pool --devices 10 --reports-per-interval nan
pool --devices 10 --reports-per-interval 0.5 --arrivals deterministic
pool --capacity 0 --target 1e-9
pool --devices 10 --report-bytes 0
pool --devices 10 --report-bytes -5
pool --devices 10 --report-bytes 100 --bandwidth-mhz 7
pool --devices 10 --report-bytes 100 --bandwidth-mhz nan
pool --devices 10 --report-bytes 100 --interval-s 0
pool --devices 10 --report-bytes 100 --interval-s nan
pool --devices 10 --report-bytes 100 --max-fraction 0
pool --devices 10000000 --report-bytes 10000 --interval-s 1
pool --devices 10 --technology lora --report-bytes 999
pool --devices 10 --technology lora --report-bytes 10 --spreading-factor 5
pool --devices 10 --technology lora --report-bytes 10 --sub-band Z
pool --devices 10 --technology lora --report-bytes 10 --guard-s -1
pool --devices 10 --technology lora --report-bytes 10 --guard-s nan
pool --devices 10 --technology sigfox --report-bytes 13
pool --devices 10 --technology sigfox --report-bytes 12 --modulation qpsk
site missing.toml
site {empty}
site {binary}
site {words}
site {town} --target 0
site {town} --target nan
site {town} --burst-s 0
site {town} --burst-s nan
site {town} --occupancy missing.jsonl
site {town} --occupancy {empty_json}
site {badsite}
site {negative}
""".strip().splitlines()

SITE = b'[site]\nname = "x"\n[[gateway]]\nname = "g"\n[[traffic]]\nname = "t"\n'
FILES = {
    "empty": b"",
    "empty_json": b"",
    "words": b"gateway,b\n0.1,0.2\n",
    "above": b"0.5,1.5\n",
    "nan": b"0.5,nan\n",
    "ragged": b"0.5,0.5\n0.5\n",
    "binary": bytes(range(256)),
    "links": b"0.5,0.5\n0.5,0.2\n",
    "falling": b"1.0\n0.5\n",
    "far": b"0\n1e300\n",
    "times": b"0\n1\n2\n",
    "badsite": SITE + b'devices = "many"\nperiod_s = 60\n',
    "negative": SITE + b"devices = 5\nperiod_s = -60\n",
}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("strange")
    found = {"town": TOWN}
    for name, content in FILES.items():
        ending = {"empty_json": ".jsonl", "badsite": ".toml", "negative": ".toml"}.get(name, ".csv")
        (folder / f"{name}{ending}").write_bytes(content)
        found[name] = str(folder / f"{name}{ending}")
    return found


@pytest.mark.parametrize("words", STRANGE)
def test_strange_input_is_one_line(words: str, names: dict[str, str], plan_refuses: Refuses) -> None:
    said = plan_refuses(*(word.format(**names) for word in words.split()))
    assert said.startswith("airshed: ")
    assert len(said) > 20


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_files_of_other_systems_are_read(
    ending: str, mark: bytes, tmp_path: Path, plan_json: Callable[..., dict[str, object]]
) -> None:
    links = tmp_path / "links.csv"
    links.write_bytes(mark + ending.join(["0.5,0.5", "0.5, 0.2", "", ""]).encode())
    assert len(plan_json("collisions", "--links", str(links))["device_outage"]) == 2  # type: ignore[arg-type]
    times = tmp_path / "times.txt"
    times.write_bytes(mark + ending.join(["0", "1", "1.5", ""]).encode())
    answer = plan_json("queue", "--servers", "1", "--service-time", "0.7", "--arrivals", str(times))
    assert answer["blocking"] == pytest.approx(1 / 3)
