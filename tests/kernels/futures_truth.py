"""The truth about intervals of the future, from mpmath: of all families of purchases, on a grid that hurts.

`python tests/kernels/futures_truth.py` writes futures_truth.json anew (some minutes). Integrals are over the
whole line and by the trapezoidal rule, which for such integrands is exact to far beyond the digits kept; their
closed forms, differences of 2F1 that cancel, are slower by orders and confirm them at a few points.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path

from mpmath import mp, mpf

GOLDEN = Path(__file__).with_name("futures_truth.json")
POINTS = 30

# four parameters, x, t_x, T, start, t
Point = tuple[float, ...]
PURCHASES = (1, 2, 7)

TIMES = {
    "x": (0.0, 0.0, 1.0, 3.0, 50.0, 300.0, 5000.0),
    # from a minute in weeks to twenty years in hours
    "T": (0.0, 1e-2, 1.0, 40.0, 365.0, 175_200.0),
    "t_x/T": (0.1, 0.9, 1.0),
    "start": (1e-4, 0.1, 13.0, 3650.0, 175_200.0),
    # a share of the start: short intervals far away are where differences lose their digits
    "t": (1e-9, 1e-4, 1.0, 1e3),
}
BETA_DROPOUT = {
    "r": (1e-2, 0.25, 1.0, 20.0, 500.0),
    "alpha": (1e-2, 4.0, 1e3, 1e5),
    "a": (1e-2, 0.3, 0.8, 1 - 1e-9, 1.0, 1 + 1e-13, 2.0, 30.0, 1e3),
    "b": (1e-2, 0.2, 0.7, 2.5, 40.0, 1e3),
}
PARETO = {
    "r": (1e-2, 0.25, 1.0, 20.0, 500.0),
    "alpha": (1e-2, 4.0, 10.5, 1e3, 1e5),
    "s": (1e-6, 1e-2, 0.6, 1 - 1e-9, 1.0, 1 + 1e-13, 20.0, 1e3),
    "beta": (1e-2, 4.0, 11.6, 1e3, 1e5),
}
GRIDS = {"bg_nbd": BETA_DROPOUT, "mbg_nbd": BETA_DROPOUT, "pareto_nbd": PARETO}


def some_point(family: str, rng: random.Random) -> Point:
    """A point of the family's grid."""
    parameters = [rng.choice(values) for values in GRIDS[family].values()]
    x, T, share, start, length = (rng.choice(values) for values in TIMES.values())
    return (*parameters, x, T * share if x else 0.0, T, start, start * length)


def integrate(log_density: Callable[[mpf, mpf, mpf, mpf], list[mpf]], rates: tuple[mpf, mpf, mpf]) -> list[mpf]:
    """Integrals over p in (0, 1) of functions, by the trapezoidal rule on z = logit(p).

    `log_density(p, 1 - p, log p, log(1 - p))` gives their logarithms, dp/dz = p (1 - p) included. `rates` are how
    fast both tails fall, as exponents of p and 1 - p, and the largest number that p is multiplied by in them:
    where that product is nothing, the rule's sum is a geometric series.
    """
    left, right, largest = rates
    step = mpf(1) / 8 / mp.sqrt(1 + left / 16)
    far = mp.log(10) * mp.dps + 5

    def at(j: int) -> list[mpf]:
        z = j * step
        e = mp.exp(-abs(z))
        larger = -mp.log1p(e)
        p, log_p, log_q = (e / (1 + e), z + larger, larger) if z < 0 else (1 / (1 + e), larger, larger - z)
        q = 1 / (1 + e) if z < 0 else e / (1 + e)
        return [mp.exp(value) for value in log_density(p, q, log_p, log_q)]

    totals = at(0)
    for sign, rate, end in ((-1, left, far + mp.log1p(largest)), (1, right, far + mp.log1p(largest))):
        j = 0
        while True:
            j += sign
            terms = at(j)
            totals = [total + term for total, term in zip(totals, terms, strict=True)]
            if abs(j) * step > end:
                rest = 1 / mp.expm1(rate * step)
                totals = [total + term * rest for total, term in zip(totals, terms, strict=True)]
                break
    return [total * step for total in totals]


def log_at_least(k: int, n: mpf, tau: mpf) -> mpf:
    """Log probability of k events or more, at a rate of Gamma(n, 1) in the time tau."""
    w = tau / (1 + tau)
    if tau > 2 or n * tau > 1:  # then it is not small, and one less the others loses little
        return mp.log(1 - sum(mp.rf(n, i) / mp.factorial(i) * w**i for i in range(k)) * (1 + tau) ** -n)
    term, total, j = mp.rf(n, k) / mp.factorial(k) * w**k * (1 + tau) ** -n, mpf(0), k
    while term > total * mp.eps:
        total += term
        term *= w * (n + j) / (j + 1)
        j += 1
    return mp.log(total)


def beta_dropout_future(point: Point, more: int) -> list[mpf]:
    """P(alive), E, survival to the start, P(0), and P(k): of BG/NBD (more = 0) or MBG/NBD (more = 1)."""
    r, alpha, a, b, x, t_x, T, start, t = point
    n, faced = r + x, x + more
    c, sigma, delta = b + faced, start / (alpha + T), t / (alpha + T)
    odds = a / (c - 1) * ((alpha + T) / (alpha + t_x)) ** n if faced else mpf(0)
    alive = 1 / (1 + odds)
    log_beta = mp.log(mp.beta(a, c))

    def log_density(p: mpf, q: mpf, log_p: mpf, log_q: mpf) -> list[mpf]:
        base = 1 + p * sigma
        tau = delta / base
        weight = a * log_p + c * log_q - n * mp.log(base) - log_beta
        found = [
            weight - log_p + mp.log(-mp.expm1(-n * mp.log1p(p * tau))),
            weight,
            weight - n * mp.log1p(tau),
            a * log_p + c * log_q - log_beta + mp.log(-mp.expm1(-n * mp.log(base))),
        ]
        for k in PURCHASES:
            arrived = log_ways[k] - k * mp.log1p(1 / tau) - n * mp.log1p(tau)
            at_least = log_at_least(k, n, tau)
            found += [weight + arrived + k * log_q, weight + at_least + log_p + (k - 1) * log_q]
        return found

    log_ways = {k: mp.log(mp.rf(n, k) / mp.factorial(k)) for k in PURCHASES}
    values = integrate(log_density, (a, c, c + a + (n + 10) * (1 + sigma + delta)))
    expected, stays, silent, gone = values[:4]
    pmf = [alive * (values[i] + values[i + 1]) for i in range(4, len(values), 2)]
    return [alive, alive * expected, stays, 1 - alive + alive * (gone + silent), *pmf]


def pareto_future(point: Point) -> list[mpf]:
    """P(alive), E, survival to the start and P(0), of Pareto/NBD."""
    r, alpha, s, beta, x, t_x, T, start, t = point
    n = r + x

    def dropping_out(A: mpf, B: mpf, length: mpf) -> mpf:
        """Probability to drop out within a time, and not to buy before, of one alive whose rates are n, A, s, B."""
        if length == 0:
            return mpf(0)

        def log_density(p: mpf, q: mpf, log_p: mpf, log_q: mpf) -> list[mpf]:
            u = p * length
            return [log_p + log_q - n * mp.log1p(u / A) - (s + 1) * mp.log1p(u / B)]

        return s * length / B * integrate(log_density, (mpf(1), mpf(1), 2 + (n + s + 1) * length * (1 / A + 1 / B)))[0]

    raised = ((alpha + T) / (alpha + t_x)) ** n * ((beta + T) / (beta + t_x)) ** s
    alive = 1 / (1 + raised * dropping_out(alpha + t_x, beta + t_x, T - t_x))
    B = beta + T + start
    lifetime = B * (mp.log1p(t / B) if s == 1 else -mp.expm1((1 - s) * mp.log1p(t / B)) / (s - 1))
    stays = ((beta + T) / B) ** s
    silent = (1 + t / (alpha + T)) ** -n * (1 + t / B) ** -s + dropping_out(alpha + T, B, t)
    return [alive, alive * stays * n / (alpha + T) * lifetime, stays, 1 - alive + alive * (1 - stays + stays * silent)]


FUTURES: dict[str, Callable[[Point], list[mpf]]] = {
    "bg_nbd": lambda point: beta_dropout_future(point, 0),
    "mbg_nbd": lambda point: beta_dropout_future(point, 1),
    "pareto_nbd": pareto_future,
}


def future(family: str, point: Point, digits: int = 30) -> list[mpf]:
    """The family's quantities at a point, computed with so many digits."""
    with mp.workdps(digits):
        return FUTURES[family](tuple(map(mpf, point)))


def write_golden() -> None:
    """Sample the grids, and write down what is more than nothing to a float."""
    parts = []
    for family in GRIDS:
        rng = random.Random(40)
        rows: list[str] = []
        while len(rows) < POINTS:
            point = some_point(family, rng)
            truth = future(family, point)
            if truth[1] > mpf(10) ** -290:
                rows.append(json.dumps([*point, *(mp.nstr(value, 18) for value in truth)]))
        parts.append(f'"{family}": [\n' + ",\n".join(rows) + "\n]")
    GOLDEN.write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    write_golden()
