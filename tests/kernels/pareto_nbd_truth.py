"""The truth about Pareto/NBD, from mpmath, and the grid that hurts.

`python tests/kernels/pareto_nbd_truth.py` writes pareto_nbd_truth.json anew (some minutes).
"""

import json
import random
from pathlib import Path

from mpmath import mp, mpf

GOLDEN = Path(__file__).with_name("pareto_nbd_truth.json")
LIKELIHOODS, FUTURES = 120, 80

# r, alpha, s, beta, x, t_x, T
Customer = tuple[float, float, float, float, float, float, float]

GRID = {
    "r": (1e-2, 0.25, 1.0, 20.0, 500.0),
    "alpha": (1e-2, 4.0, 10.5, 1e3, 1e5),
    "s": (1e-6, 1e-2, 0.6, 1 - 1e-9, 1.0, 1 + 1e-13, 20.0, 1e3),
    # 0: alpha itself; -1: alpha but for the last digits
    "beta": (1e-2, 4.0, 11.6, 1e3, 1e5, 0.0, -1.0),
    "x": (0.0, 0.0, 1.0, 3.0, 50.0, 300.0, 5000.0),
    # from a minute in weeks to twenty years in hours
    "T": (0.0, 1e-2, 1.0, 40.0, 365.0, 175_200.0),
    "t_x/T": (0.0, 0.1, 0.9, 1 - 1e-9, 1.0),
    "t": (1e-4, 0.1, 1.0, 39.0, 3650.0, 175_200.0),
}


def some_customer(rng: random.Random) -> Customer:
    """A point of the grid."""
    r, alpha, s, beta, x, T, share, _ = (rng.choice(values) for values in GRID.values())
    if beta <= 0.0:
        beta = alpha if beta == 0.0 else alpha * (1 + 3e-15)
    return r, alpha, s, beta, x, T * share if x else 0.0, T


def dropped_out_by_2f1(r: mpf, alpha: mpf, s: mpf, beta: mpf, x: mpf, t_x: mpf, T: mpf) -> mpf:
    """s times the integral of (alpha + u)^-(r+x) (beta + u)^-(s+1) over u in (t_x, T).

    Fader & Hardie (2005), "A Note on Deriving the Pareto/NBD Model": a difference of two 2F1.
    """
    n = r + s + x
    larger = max(alpha, beta)
    second = s + 1 if alpha >= beta else r + x

    def at(age: mpf) -> mpf:
        z = abs(alpha - beta) / (larger + age)
        return mp.hyp2f1(n, second, n + 1, z, maxterms=10**6, maxprec=40_000) / (larger + age) ** n

    return s / n * (at(t_x) - at(T))


def dropped_out_by_integral(r: mpf, alpha: mpf, s: mpf, beta: mpf, x: mpf, t_x: mpf, T: mpf) -> mpf:
    """The same as it stands, over the logarithm of the age since the last purchase."""
    A, B, length = alpha + t_x, beta + t_x, T - t_x
    if length == 0:
        return mpf(0)

    def log_density(z: mpf) -> mpf:
        u = mp.exp(z)
        return mp.log(s) - (r + x) * mp.log(A + u) - (s + 1) * mp.log(B + u) + z

    return integrate_hump(log_density, mp.log(length))


def integrate_hump(log_density: object, end: mpf) -> mpf:
    """Integrate exp(log_density), which has one hump, from far below to the end."""
    step = mpf(1) / 20
    z, best, start, points = end, log_density(end), end, [end]
    while True:
        z -= step
        value = log_density(z)
        best = max(best, value)
        points.append(z)
        if value < best - 80 and value < log_density(z + step):
            break
        if len(points) % 2000 == 0:
            step *= 2
        start = z
    inside = [p for p in points if log_density(p) > best - 80]
    top = min(max(inside) + step, end)
    # Of the order of one, as mpmath judges errors by their absolute size.
    return mp.exp(best) * mp.quad(lambda y: mp.exp(log_density(y) - best), mp.linspace(start, top, 40))


def terms(customer: Customer, dropped_out: object = dropped_out_by_2f1) -> tuple[mpf, mpf]:
    """The likelihood's two terms: alive at T, and dropped out since t_x."""
    r, alpha, s, beta, x, _, T = customer
    ways = mp.exp(mp.loggamma(r + x) - mp.loggamma(r)) * alpha**r * beta**s
    return ways * (alpha + T) ** -(r + x) * (beta + T) ** -s, ways * dropped_out(*customer)


def log_likelihood(customer: Customer) -> mpf:
    """Logarithm of both terms' sum."""
    return mp.log(sum(terms(customer)))


def likelihood_and_gradient(customer: Customer, digits: int) -> list[mpf]:
    """Log-likelihood, log odds of having dropped out, and four derivatives by differences."""
    with mp.workdps(digits):
        point = [mpf(value) for value in customer]
        alive, gone = terms(tuple(point))
        found = [mp.log(alive + gone), mp.log(gone / alive) if gone > 0 else mpf("-inf")]
        for j in range(4):
            h = point[j] * mpf(10) ** -15
            values = [log_likelihood((*point[:j], point[j] + i * h, *point[j + 1 :])) for i in (-2, -1, 1, 2)]
            found.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h))
        return found


def purchases_before_dropout(n: float, alpha: float, s: float, beta: float, t: float, k: int) -> mpf:
    """P(dropout within t after k purchases), of a living customer with rates Gamma(n, alpha) and Gamma(s, beta)."""
    with mp.workdps(40):
        n, alpha, s, beta, t = map(mpf, (n, alpha, s, beta, t))
        log_ways = mp.loggamma(n + k) - mp.loggamma(n) - mp.loggamma(k + 1)

        def log_density(z: mpf) -> mpf:
            u = mp.exp(z)
            counted = log_ways - k * mp.log1p(alpha / u) - n * mp.log1p(u / alpha)
            return counted + mp.log(s / beta) - (s + 1) * mp.log1p(u / beta) + z

        return integrate_hump(log_density, mp.log(t))


def agree(few: list[mpf], many: list[mpf]) -> bool:
    """Whether two precisions give the same to 25 digits."""
    return all(a == b or abs(a - b) <= abs(b) * mpf(10) ** -25 for a, b in zip(few, many, strict=True))


def write_golden() -> None:
    """Sample the grid, keep what two precisions agree on, and write it down."""
    rng = random.Random(30)
    likelihoods: list[list[object]] = []
    while len(likelihoods) < LIKELIHOODS:
        customer = some_customer(rng)
        # The difference of the 2F1 cancels where t_x nears T, and mpmath can give up digits unseen.
        few, many = likelihood_and_gradient(customer, 80), likelihood_and_gradient(customer, 110)
        if agree(few, many):
            likelihoods.append([*customer, *(mp.nstr(value, 20) for value in many)])
    rng = random.Random(31)
    futures: list[list[object]] = []
    while len(futures) < FUTURES:
        r, alpha, s, beta, x, _, T = some_customer(rng)
        t, k = rng.choice(GRID["t"]), rng.choice((0, 0, 1, 3, 10, 40, 400))
        truth = purchases_before_dropout(r + x, alpha + T, s, beta + T, t, k)
        if truth > mpf(10) ** -280:
            futures.append([r + x, alpha + T, s, beta + T, t, k, mp.nstr(truth, 20)])
    parts = [
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for name, rows in (("likelihoods", likelihoods), ("futures", futures))
    ]
    GOLDEN.write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    write_golden()
