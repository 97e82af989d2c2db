"""How good and how fast the models of `airshed plan queue`, `pool` and `site` are: the tables of docs/planning.md.

python benchmarks/plan_queue_pool_site.py [queue] [pool] [site] [speed]     (default: all; about a minute)
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from planning.models.loss_queue import (
    DegenerateArrivals,
    Service,
    count_bounds,
    degenerate_counts,
    erlang_b,
    markov_bounds,
)
from planning.models.loss_simulation import draw_degenerate, simulate, thin
from planning.models.pool_design import (
    failure_bound,
    failure_tight,
    normal_capacity,
    smallest_capacity,
    smallest_tight_capacity,
)
from planning.models.pool_load import Reporting, exact_tail, normal_tail, pool_mean_and_variance, pool_moments
from planning.models.pool_simulation import SCHEDULERS, simulate_pool
from planning.models.residual_chain import exact_blocking
from planning.models.site_answer import SiteAnswer, changes
from planning.models.site_model import PLANS, SiteModel, site_model
from planning.models.site_reception import reception
from planning.models.site_simulation import simulate_site
from spectrum.site_file import read_site

TABLE_D1 = DegenerateArrivals((0.3, 0.6, 1.5), (1 / 3, 1 / 3, 1 / 3))
SERVICES_S = np.round(np.arange(0.05, 3.0, 0.1), 2)
PAPER = Reporting(0.1, 10)
TOWN = Path(__file__).parents[1] / "hardware" / "sites" / "town.toml"


def queue() -> None:
    """Approximation (D.10)-(D.13) and the bounds against the exact answer, and the exact answer against simulation."""
    print("\nlargest error of the approximation, and where; n servers, load in erlang")
    print("arrivals              n   blocking exact   approximation   error   at        mean width of the bounds")
    for n in (1, 2, 4, 8):
        loads = np.linspace(0.05, 3.0, 60) * n
        bounds, exact = markov_bounds(n, loads), erlang_b(n, loads)
        _queue_row(f"{'Poisson':<20}", n, exact, bounds.approximation, loads, "load", bounds.upper - bounds.lower)
    for outage in (0.0, 0.5):
        for n in (1, 2, 4, 8):
            scale = max(1.0, n / 2)
            times = SERVICES_S[SERVICES_S * scale < 4.5] * scale + 0.01
            services = [Service((float(t),), (1.0,)) for t in times]
            exact = np.array([exact_blocking(n, TABLE_D1, s, outage=outage).blocking for s in services])
            rows = [count_bounds(n, degenerate_counts(TABLE_D1, s, outage=outage)) for s in services]
            rough = np.array([float(row.approximation) for row in rows])
            width = np.array([float(row.upper - row.lower) for row in rows])
            _queue_row(f"table D.1, outage {outage:<3}", n, exact, rough, times, "tau", width)
    rng = np.random.default_rng(1)
    inside = cells = 0
    for n in (1, 2, 4, 8):
        for time_s in SERVICES_S[::3]:
            for outage in (0.0, 0.5):
                service = Service((float(time_s),), (1.0,))
                trace = thin(draw_degenerate(TABLE_D1, service, 200_000, rng), outage, rng)
                cells += 1
                exact_one = exact_blocking(n, TABLE_D1, service, outage=outage).blocking
                inside += bool(simulate(trace, n).blocking.holds(exact_one))
    print(f"exact chain within the simulation's 99 % interval: {inside} of {cells} cells")


def _queue_row(
    name: str, n: int, exact: np.ndarray, rough: np.ndarray, across: np.ndarray, unit: str, width: np.ndarray
) -> None:
    worst = int(np.argmax(np.abs(rough - exact)))
    error = rough[worst] - exact[worst]
    print(
        f"{name} {n:<4} {exact[worst]:<16.4f} {rough[worst]:<15.4f} {error:+.4f} {unit} {across[worst]:<6.2f} "
        f"{width.mean():.3f}"
    )


def pool() -> None:
    """Normal against exact law, the capacities of the three methods, and simulated failures against both bounds."""
    print("\ncapacity of the common pool (L = 10, one Poisson report an interval)")
    print("devices  p    target   clt      exact    rigorous   per report   exact tail / normal tail at clt")
    for devices in (10, 100, 1000, 30_000):
        for p in (0.1, 0.4):
            for target in (1e-2, 1e-3):
                reporting = Reporting(p, 10)
                found = [smallest_capacity(reporting, devices, target, m) for m in ("clt", "exact", "rigorous")]
                tight = smallest_tight_capacity(reporting, devices, target)
                ratio = exact_tail(reporting, devices, found[0]).probability
                ratio /= normal_tail(reporting, devices, found[0]).probability
                words = [f"{capacity:<8}" for capacity in found]
                print(f"{devices:<8} {p:<4} {target:<8g} {' '.join(words)}   {tight:<12} {ratio:.2f}")
    print("\nsimulated failures (N = 200, p = 0.1, L = 10), 20,000 intervals each")
    print("capacity  scheduler  failure   99 % interval         tight bound  bound (rigorous)  R > C simulated  exact")
    rng = np.random.default_rng(2)
    mean, variance = pool_moments(PAPER, 200)
    for sigmas in (0.0, 1.0, 2.0):
        capacity = int(mean + sigmas * variance**0.5)
        tight, bound = failure_tight(PAPER, 200, capacity), failure_bound(PAPER, 200, capacity, "rigorous")
        for scheduler in SCHEDULERS:
            run = simulate_pool(PAPER, 200, capacity, 20_000, rng, scheduler)
            print(
                f"{capacity:<9} {scheduler:<10} {run.failure.mean:.6f}  {run.failure.low:.6f} to {run.failure.high:.6f}"
                f"  {tight:.6f}     {bound:.4f}            {run.overload.mean:.4f}           "
                f"{exact_tail(PAPER, 200, capacity).probability:.4f}"
            )


def site() -> None:
    """The site's outage against both simulations, for the town with its traffic multiplied."""
    print("\ntown, outage of the random groups; `instants` judges interference at every instant")
    print("traffic  plan        group     model    sums (99 % interval)   instants (99 % interval)")
    rng = np.random.default_rng(3)
    for load in (1, 5, 20):
        for plan in sorted(PLANS):
            model = _denser(_town(plan), load)
            expected = 1.0 - reception(model).group_success()
            runs = [simulate_site(model, 100_000, rng, rule) for rule in ("sums", "instants")]
            for index, group in enumerate(model.groups):
                if group.access == "random":
                    words = [f"{1 - run[index].high:.4f} to {1 - run[index].low:.4f}" for run in runs]
                    print(f"{load:<8} {plan:<11} {group.name:<9} {expected[index]:.4f}   {words[0]:<22} {words[1]}")


def _town(plan: str) -> SiteModel:
    table = read_site(TOWN)
    return site_model(table, np.zeros(len(table.spectrum.lora)), 0.1, plan)


def _denser(model: SiteModel, load: int) -> SiteModel:
    from dataclasses import replace

    return replace(model, groups=tuple(replace(group, devices=load * group.devices) for group in model.groups))


def speed() -> None:
    """Medians of 15 runs after one to warm up, in ms of processor time."""
    machine = f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"
    print(f"\n{machine}; medians of 15 runs, processor time")
    loads = np.linspace(0.0, 50.0, 10_000)
    town = _town("distance")
    tasks: dict[str, Callable[[], object]] = {
        "erlang-b, 10,000 loads, 8 servers": lambda: erlang_b(8, loads),
        "bounds and approximation, 10,000 loads, 8 servers": lambda: markov_bounds(8, loads),
        "exact chain, table D.1, n = 2, tau = 1": lambda: exact_blocking(2, TABLE_D1, Service((1.0,), (1.0,))),
        "exact chain, table D.1, n = 8, tau = 4.7 (20,721 states)": lambda: exact_blocking(
            8, TABLE_D1, Service((4.7,), (1.0,))
        ),
        "pool mean and variance, 10,000 points": lambda: pool_mean_and_variance(loads + 1, loads / 60, 10, loads / 10),
        "pool capacity clt, 10,000 points": lambda: normal_capacity(loads + 1, loads / 100, 10, 1e-3),
        "pool capacity exact, N = 30,000": lambda: smallest_capacity(PAPER, 30_000, 1e-3, "exact"),
        "pool capacity rigorous, N = 30,000": lambda: smallest_capacity(PAPER, 30_000, 1e-3, "rigorous"),
        "site: outage, latency, mechanisms, headroom (town)": lambda: SiteAnswer(town, 0.1).as_json(),
        "site: one more gateway, subchannel, other SF plans": lambda: changes(SiteAnswer(town, 0.1)),
    }
    for name, task in tasks.items():
        print(f"{name:<60} {_median_ms(task):8.2f} ms")
    fast = _median_ms(lambda: exact_tail(PAPER, 300, 180))
    slow = _median_ms(lambda: _convolved_tail(300, 180))
    print(
        f"exact tail, N = 300: tilted transform {fast:.2f} ms, convolving one by one {slow:.1f} ms: {slow / fast:.0f} x"
    )


def _convolved_tail(devices: int, capacity: int) -> float:
    """P[R > C] the slow way: Panjer's law of one device, convolved N times."""
    sent = PAPER.transmission_pmf()
    total = np.zeros(200)
    total[0] = np.exp(-1.0)
    for s in range(1, 200):
        jumps = np.arange(1, min(s, len(sent)) + 1)
        total[s] = 1.0 / s * np.sum(jumps * sent[jumps - 1] * total[s - jumps])
    single = total[1:].copy()
    single[0] += total[0]
    law = np.array([1.0])
    for _ in range(devices):
        law = np.convolve(law, single)
    return float(law[capacity + 1 :].sum())


def _median_ms(task: Callable[[], object], runs: int = 15) -> float:
    """Processor time, which other work on the machine stretches less than wall time."""
    task()
    spent = []
    for _ in range(runs):
        start = time.process_time()
        task()
        spent.append(time.process_time() - start)
    return 1e3 * statistics.median(spent)


TABLES = {"queue": queue, "pool": pool, "site": site, "speed": speed}

if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(TABLES)
    if unknown:
        sys.exit(f"expected some of {', '.join(TABLES)}, got {', '.join(sorted(unknown))}")
    for chosen in sys.argv[1:] or TABLES:
        TABLES[chosen]()
