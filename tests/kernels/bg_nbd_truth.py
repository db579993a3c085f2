"""The truth about BG/NBD expectations, from mpmath, and the grid that hurts.

`python tests/kernels/bg_nbd_truth.py` writes bg_nbd_expectations.json anew (some minutes).
"""

import json
import random
from pathlib import Path

from mpmath import mp, mpf

GOLDEN = Path(__file__).with_name("bg_nbd_expectations.json")
POINTS = 600

Point = tuple[float, float, float, float, float, float, float]  # r, alpha, a, b, x, T, t

GRID = {
    "r": (1e-2, 0.25, 1.0, 20.0, 500.0),
    "alpha": (1e-2, 4.0, 1e3, 1e5),
    "a": (1e-2, 0.3, 0.8, 1 - 1e-9, 1.0, 1 + 1e-13, 1.001, 2.0, 30.0, 1e3),
    "b": (1e-2, 0.1, 0.2, 0.7, 2.5, 40.0, 1e3),
    "x": (0.0, 0.0, 1.0, 3.0, 50.0, 300.0, 600.0, 5000.0),
    # from a minute in weeks to twenty years in hours
    "T": (0.0, 1e-2, 1.0, 40.0, 365.0, 7300.0, 175_200.0),
    "t": (1e-4, 0.1, 1.0, 39.0, 365.0, 3650.0, 175_200.0),
}


def expected_by_2f1(point: Point, guard: int) -> mpf:
    """Closed form of Fader, Hardie & Lee (2005), eq. (10), with digits enough for its cancellation.

    At its poles a = 1 and a + b + x = 1 the expectation is continuous; a is moved by 1e-70 there.
    """
    with mp.workdps(70 + guard):
        r, alpha, a, b, x, T, t = map(mpf, point)
        nudge = mpf(10) ** -70
        if abs(a - 1) < nudge:
            a += nudge
        if abs(a + b + x - 1) < nudge:
            a += nudge
        n, c, tau = r + x, b + x, t / (alpha + T)
        f = mp.hyp2f1(n, c, a + c - 1, tau / (1 + tau), maxterms=10**6, maxprec=40_000)
        return (a + c - 1) / (a - 1) * (1 - (1 + tau) ** (-n) * f)


def expected_by_integral(point: Point) -> mpf:
    """The defining integral over the dropout probability, in its logit."""
    with mp.workdps(50):
        r, alpha, a, b, x, T, t = map(mpf, point)
        n, c, tau = r + x, b + x, t / (alpha + T)

        def integrand(z: mpf) -> mpf:
            p, q = 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))
            return (1 - (1 + p * tau) ** (-n)) * p ** (a - 1) * q**c

        knees = sorted({mpf(0), -mp.log(1 + n * tau), -mp.log(1 + c), mp.log(a / c)})
        ends = [knees[0] - 120 / a, *(knees[0] - d for d in (60, 20, 8, 3)), *knees]
        ends += [*(knees[-1] + d for d in (3, 8, 20, 60)), knees[-1] + 120 / c]
        return mp.quad(integrand, sorted(ends)) / mp.beta(a, c)


def write_golden() -> None:
    """Sample the grid, keep what two precisions agree on, and write it down."""
    rng = random.Random(20)
    rows = []
    while len(rows) < POINTS:
        point = tuple(rng.choice(GRID[name]) for name in GRID)
        few, many = expected_by_2f1(point, 100), expected_by_2f1(point, 400)
        # mpmath's 2F1 can give up digits unseen; what depends on the precision is no truth.
        if abs(few - many) <= abs(many) * mpf(10) ** -30:
            rows.append([*point, mp.nstr(many, 20)])
    lines = ",\n".join(json.dumps(row) for row in rows)
    GOLDEN.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    write_golden()
