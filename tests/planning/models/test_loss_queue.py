"""Blocking of loss systems: bounds, approximation and exact answers against each other and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from planning.models import residual_chain
from planning.models.loss_queue import (
    DegenerateArrivals,
    Service,
    TooLarge,
    busy_servers_markov,
    count_bounds,
    degenerate_counts,
    erlang_b,
    markov_bounds,
)
from planning.models.loss_simulation import draw_degenerate, draw_markov, simulate, thin
from planning.models.residual_chain import exact_blocking
from spectrum.errors import BadInput

TABLE_D1 = DegenerateArrivals((0.3, 0.6, 1.5), (1 / 3, 1 / 3, 1 / 3))
SINGLE = Service((1.0,), (1.0,))
MIXED = Service((2 / 3, 4 / 3), (0.5, 0.5))
LONG = Service((2.0, 5.0), (0.7, 0.3))


def erlang_b_by_factorials(servers: int, load: float) -> float:
    """Erlang's formula as it is printed in every textbook."""
    terms = [load**k / math.factorial(k) for k in range(servers + 1)]
    return terms[-1] / sum(terms)


def random_queue(seed: int) -> tuple[int, DegenerateArrivals, Service, float]:
    """A small loss system with gaps and service times that never tie."""
    rng = np.random.default_rng(seed)
    gaps = tuple(float(x) for x in np.round(rng.uniform(0.05, 2.0, rng.integers(1, 4)), 1) + 0.05)
    services = tuple(float(x) for x in np.round(rng.uniform(0.2, 2.5, rng.integers(1, 3)), 1))
    shares = [tuple(rng.dirichlet(np.ones(len(values)))) for values in (gaps, services)]
    outage = float(rng.choice([0.0, 0.4]))
    return int(rng.integers(1, 5)), DegenerateArrivals(gaps, shares[0]), Service(services, shares[1]), outage


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (2, 1.25), (8, 4.0), (8, 40.0), (30, 0.01)])
def test_erlang_b_is_the_textbook_formula(servers: int, load: float) -> None:
    assert float(erlang_b(servers, load)) == pytest.approx(erlang_b_by_factorials(servers, load), rel=1e-12)


def test_erlang_b_takes_ten_thousand_points_of_both_arguments_at_once() -> None:
    loads = np.linspace(0.0, 50.0, 100)[:, None]
    servers = np.arange(1, 101)
    table = erlang_b(servers, loads)
    assert table.shape == (100, 100)
    assert table[37, 6] == pytest.approx(erlang_b_by_factorials(7, float(loads[37, 0])), rel=1e-12)
    assert np.all(table[0] == 0.0)


def test_the_quoted_quarter_is_erlang_b_at_a_load_of_1_25_and_not_of_0_8() -> None:
    """The thesis: P_b = .25 for M/D/2/2 at tau = 1, "lambda' = .8"; .8 is the mean gap, the rate is 1.25."""
    assert TABLE_D1.rate_per_s == pytest.approx(1.25)
    assert float(erlang_b(2, 1.25)) == pytest.approx(0.2577, abs=5e-5)
    assert float(erlang_b(2, 0.8)) == pytest.approx(0.151, abs=1e-3)


def test_the_quoted_068_is_that_of_id_4_and_not_of_id_2() -> None:
    """The thesis gives .068 for ID 2 at tau = 1; exact is more than twice that, while D below M survives."""
    second = exact_blocking(2, TABLE_D1, SINGLE).blocking
    fourth = exact_blocking(2, TABLE_D1, SINGLE, outage=0.5).blocking
    assert second > 2 * 0.068
    assert fourth == pytest.approx(0.068, abs=0.003)
    assert second < float(erlang_b(2, 1.25))


def test_markov_closed_forms_are_the_sums_they_stand_for() -> None:
    for servers in (1, 2, 8):
        for load in (0.05, 1.0, 6.0):
            counts = np.array([math.exp(k * math.log(load) - load - math.lgamma(k + 1)) for k in range(120)])
            closed, summed = markov_bounds(servers, load), count_bounds(servers, counts)
            for name in ("lower", "upper", "approximation"):
                assert float(getattr(closed, name)) == pytest.approx(float(getattr(summed, name)), rel=1e-9)


def test_erlang_b_lies_between_the_bounds_at_ten_thousand_points() -> None:
    loads = np.geomspace(1e-3, 200.0, 1250)
    for servers in range(1, 9):
        bounds, exact = markov_bounds(servers, loads), erlang_b(servers, loads)
        assert np.all(bounds.lower <= exact * (1 + 1e-9))
        assert np.all(exact <= bounds.upper * (1 + 1e-9))


def test_the_upper_bound_is_exact_for_one_server() -> None:
    for service in (SINGLE, MIXED, LONG):
        for outage in (0.0, 0.5):
            upper = count_bounds(1, degenerate_counts(TABLE_D1, service, outage=outage)).upper
            assert float(upper) == pytest.approx(exact_blocking(1, TABLE_D1, service, outage=outage).blocking)


def test_the_bounds_hold_and_littles_law_ties_the_busy_servers_on_random_queues() -> None:
    held = 0
    for seed in range(200):
        servers, arrivals, service, outage = random_queue(seed)
        try:
            chain = exact_blocking(servers, arrivals, service, outage=outage, states_limit=3000)
        except TooLarge:
            continue
        held += 1
        bounds = count_bounds(servers, degenerate_counts(arrivals, service, outage=outage))
        assert bounds.lower <= chain.blocking + 1e-9
        assert chain.blocking <= bounds.upper + 1e-9
        carried = arrivals.rate_per_s * (1 - outage) * (1 - chain.blocking) * service.mean_s
        assert chain.busy @ np.arange(servers + 1) == pytest.approx(carried, abs=1e-8)
    assert held > 150


def test_the_exact_chain_lies_in_the_simulations_interval_over_a_grid() -> None:
    rng = np.random.default_rng(20)
    outside, cells = [], 0
    for servers in (1, 2, 4, 8):
        for service in (SINGLE, MIXED, LONG):
            for outage in (0.0, 0.5):
                if servers == 8 and service is LONG:
                    continue
                exact = exact_blocking(servers, TABLE_D1, service, outage=outage).blocking
                trace = thin(draw_degenerate(TABLE_D1, service, 100_000, rng), outage, rng)
                cells += 1
                if not simulate(trace, servers).blocking.holds(exact):
                    outside.append((servers, service.times_s, outage))
    # 99 % intervals: of 22 cells, three outside has a probability of about one in a thousand
    assert len(outside) <= 2, outside


def test_erlang_b_lies_in_the_simulations_interval_for_any_mix_of_service_times() -> None:
    rng = np.random.default_rng(21)
    outside = []
    for servers in (1, 2, 8):
        for service in (SINGLE, MIXED, LONG):
            for load in (0.5 * servers, 1.2 * servers):
                trace = draw_markov(load / service.mean_s, service, 60_000, rng)
                if not simulate(trace, servers).blocking.holds(float(erlang_b(servers, load))):
                    outside.append((servers, service.times_s, load))
    assert len(outside) <= 2, outside


def test_the_counts_are_those_of_a_simulation() -> None:
    rng = np.random.default_rng(22)
    for outage in (0.0, 0.5):
        counts = degenerate_counts(TABLE_D1, LONG, outage=outage)
        drawn = simulate(thin(draw_degenerate(TABLE_D1, LONG, 200_000, rng), outage, rng), 4).counts
        length = max(len(counts), len(drawn))
        assert counts.sum() == pytest.approx(1.0)
        assert np.pad(drawn, (0, length - len(drawn))) == pytest.approx(
            np.pad(counts, (0, length - len(counts))), abs=0.006
        )


def test_busy_servers_over_time_agree_with_the_simulation() -> None:
    rng = np.random.default_rng(23)
    drawn = simulate(draw_degenerate(TABLE_D1, LONG, 200_000, rng), 4)
    assert drawn.busy == pytest.approx(exact_blocking(4, TABLE_D1, LONG).busy, abs=0.01)
    poisson = simulate(draw_markov(1.0, MIXED, 200_000, rng), 3)
    assert poisson.busy == pytest.approx(busy_servers_markov(3, 1.0), abs=0.01)


def idle_time_by_enumeration(arrivals: DegenerateArrivals, service_s: float) -> float:
    """T_0 of (D.14) with C_k of (D.22): walk through all sequences of gaps until one passes the end of the service."""

    def wait(elapsed_s: float, probability: float) -> float:
        total = 0.0
        for gap_s, share in zip(arrivals.gaps_s, arrivals.probabilities, strict=True):
            at_s = elapsed_s + gap_s
            late = at_s > service_s
            total += probability * share * (at_s - service_s) if late else wait(at_s, probability * share)
        return total

    return wait(0.0, 1.0)


def test_one_server_is_busy_as_the_state_ratios_say() -> None:
    """(D.14) to (D.18) for n = 1: q_1 = tau / (tau + T_0)."""
    for service_s in (0.4, 1.0, 1.9):
        idle_s = idle_time_by_enumeration(TABLE_D1, service_s)
        chain = exact_blocking(1, TABLE_D1, Service((service_s,), (1.0,)))
        assert chain.busy[1] == pytest.approx(service_s / (service_s + idle_s))


def test_a_tie_is_open_or_closed_as_asked() -> None:
    """A gap of 0.3 s and a service of 0.3 s: the server is just free, or just not."""
    steady, service = DegenerateArrivals((0.3,), (1.0,)), Service((0.3,), (1.0,))
    assert exact_blocking(1, steady, service).blocking == 0.0
    assert exact_blocking(1, steady, service, tie="closed").blocking == pytest.approx(0.5)
    trace = draw_degenerate(steady, service, 1000, np.random.default_rng(1))
    assert simulate(trace, 1).blocking.mean == 0.0
    assert simulate(trace, 1, tie="closed").blocking.mean == pytest.approx(0.5, abs=0.01)


def test_a_steady_arrival_without_chance_is_solved_as_a_cycle() -> None:
    """Every 0.3 s, tau = 1, n = 2: two of four are taken."""
    steady = DegenerateArrivals((0.3,), (1.0,))
    chain = exact_blocking(2, steady, SINGLE)
    assert chain.blocking == pytest.approx(0.5)
    assert chain.busy.sum() == pytest.approx(1.0)


def test_the_printed_mixture_of_counts_is_not_what_an_arrival_meets() -> None:
    """(D.20) mixes the counts of two Poisson classes; the sum of both is Poisson with the summed load."""
    loads, share = np.array([0.2, 3.0]), np.array([0.5, 0.5])
    k = np.arange(60)
    pmf = np.exp(k * np.log(loads[:, None]) - loads[:, None] - np.vectorize(math.lgamma)(k + 1.0))
    mixed = float(count_bounds(2, share @ pmf).upper)
    assert mixed != pytest.approx(float(markov_bounds(2, loads.sum()).upper), rel=0.1)
    assert float(erlang_b(2, loads.sum())) > mixed  # so the printed upper "bound" is none


def test_a_large_chain_is_iterated_to_what_a_small_one_is_solved_to(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [(4, TABLE_D1, LONG, 0.5), (2, DegenerateArrivals((0.3,), (1.0,)), SINGLE, 0.0)]
    solved = [exact_blocking(n, arrivals, service, outage=outage) for n, arrivals, service, outage in cases]
    monkeypatch.setattr(residual_chain, "DIRECT_LIMIT", 0)
    for (n, arrivals, service, outage), direct in zip(cases, solved, strict=True):
        iterated = exact_blocking(n, arrivals, service, outage=outage)
        assert iterated.blocking == pytest.approx(direct.blocking, abs=1e-9)
        assert iterated.busy == pytest.approx(direct.busy, abs=1e-9)


def test_probabilities_given_to_a_few_digits_are_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual_chain, "DIRECT_LIMIT", 0)
    rounded = DegenerateArrivals((0.3, 0.6, 1.5), (0.3333333,) * 3)
    assert exact_blocking(2, rounded, SINGLE).blocking == pytest.approx(exact_blocking(2, TABLE_D1, SINGLE).blocking)


def test_servers_that_are_never_needed_change_nothing() -> None:
    """At most four arrivals fit in 1 s: the fifth server and the thousandth are always free."""
    few, many = exact_blocking(5, TABLE_D1, SINGLE), exact_blocking(1000, TABLE_D1, SINGLE)
    assert few.blocking == many.blocking == 0.0
    assert many.busy[:6] == pytest.approx(few.busy)
    assert many.busy.shape == (1001,)


def test_gaps_too_fine_for_exact_counts_say_so() -> None:
    fine = DegenerateArrivals((0.0011, 0.0017, 0.0031), (1 / 3, 1 / 3, 1 / 3))
    with pytest.raises(TooLarge, match="rounder gaps"):
        degenerate_counts(fine, LONG)


def test_a_chain_past_its_limit_says_so() -> None:
    with pytest.raises(TooLarge, match="more than 100 states"):
        exact_blocking(8, TABLE_D1, LONG, states_limit=100)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Service((0.0,), (1.0,)), "service time"),
        (lambda: Service((1.0, 2.0), (0.5, 0.6)), "sum to 1"),
        (lambda: Service((1.0,), (0.5, 0.5)), "expected 1, got 2"),
        (lambda: DegenerateArrivals((0.3, -1.0), (0.5, 0.5)), "gap"),
        (lambda: DegenerateArrivals((0.3, 1.0), (1.5, -0.5)), "probability between 0 and 1"),
        (lambda: erlang_b(0, 1.0), "servers"),
        (lambda: erlang_b(2, [1.0, -1.0]), "load"),
        (lambda: exact_blocking(2, TABLE_D1, SINGLE, outage=1.5), "outage"),
        (lambda: exact_blocking(2, TABLE_D1, SINGLE, tie="ajar"), "open or closed"),
    ],
)
def test_bad_input_is_one_clear_line(make: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()  # type: ignore[operator]
