"""NUTS: the reference way to the posterior."""

from __future__ import annotations

import contextlib
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import FitError
from lifeworth.families.base import Family
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import Parametrisation
from lifeworth.inference.diagnostics import Diagnostics, judge_nuts
from lifeworth.inference.pymc_model import build_model

CHAINS = 4
WARM_UP = 500
# Of at least so many draws per chain, to judge them by, at most every fourth is kept: neighbours say nearly
# the same, and predictions cost time per draw. With half as many, R-hat was just above its limit once in twenty fits.
LEAST, THINNING = 1000, 4

Progress = Callable[[str, float], None]


@contextlib.contextmanager
def _sources_swept_up() -> Iterator[None]:
    """PyTensor writes the source of every function it compiles to a temporary file and leaves it: sweep them up."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="lifeworth-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def sample_nuts(
    family: Family, rows: Rows, parametrisation: Parametrisation, draws: int, seed: int, progress: Progress | None
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]], Diagnostics]:
    """Sample the PyMC model with nutpie.

    Returns
    -------
    draws : variable or parameter -> (CHAINS, kept draws per chain).
    sample_stats : diverging, energy, of the same shape.
    diagnostics : judged on all draws, before thinning.
    """
    import nutpie

    model = build_model(family, rows, parametrisation)
    wanted = math.ceil(draws / CHAINS)
    thinning = max(THINNING, math.ceil(LEAST / wanted))

    def report(chains: Any) -> None:
        if progress is not None:
            total = sum(chain.total_draws for chain in chains)
            progress("sampling", sum(chain.finished_draws for chain in chains) / total if total else 0.0)

    if progress is not None:
        progress("compiling the model", 0.0)
    names = list(dict.fromkeys([v.name for v in parametrisation.variables] + list(family.parameters)))
    with _sources_swept_up(), warnings.catch_warnings():
        # Messages of the libraries underneath to their own developers.
        warnings.simplefilter("ignore", category=DeprecationWarning)
        warnings.simplefilter("ignore", category=FutureWarning)
        compiled = nutpie.compile_pymc_model(model, var_names=names)
        try:
            trace = nutpie.sample(
                compiled,
                draws=wanted * thinning,
                tune=WARM_UP,
                chains=CHAINS,
                seed=seed,
                save_warmup=False,
                progress_bar=False,
                progress_callback=report,
            )
        except RuntimeError as error:
            raise FitError(f"{family.label}: NUTS could not start on these data: {error}") from error
    full = {name: trace["posterior"][name].to_numpy().astype(np.float64) for name in names}
    stats = trace["sample_stats"]
    energy, diverging = stats["energy"].to_numpy(), stats["diverging"].to_numpy()
    diagnostics = judge_nuts({name: full[name] for name in family.parameters}, energy, diverging)
    kept = {name: values[:, ::thinning] for name, values in full.items()}
    return kept, {"diverging": diverging[:, ::thinning], "energy": energy[:, ::thinning]}, diagnostics
