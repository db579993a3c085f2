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
from lifeworth.inference.covariate_target import target_of
from lifeworth.inference.diagnostics import Diagnostics, judge_nuts
from lifeworth.inference.mode import climb
from lifeworth.inference.pymc_model import build_model
from lifeworth.inference.target import Target

Array = npt.NDArray[np.float64]

CHAINS = 4
WARM_UP = 500
# Of at least so many draws per chain, to judge them by, at most every fourth is kept: neighbours say nearly
# the same, and predictions cost time per draw. With half as many, R-hat was just above its limit once in twenty fits.
LEAST, THINNING = 1000, 4

# What the positions of a target are called in a trace.
_POSITIONS = "positions"

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


def _of_target(target: Target) -> Any:
    """A model for nutpie whose variables are the positions of a target."""
    from nutpie.compiled_pyfunc import from_pyfunc

    mode = climb(target)
    centre = target.start() if mode is None else mode.position

    def make_density() -> Callable[[Array], tuple[float, Array]]:
        return lambda position: target.gradient(np.ascontiguousarray(position))

    def make_expansion(*_: Any) -> Callable[[Array], dict[str, Array]]:
        return lambda position: {_POSITIONS: np.array(position)}

    def initial(seed: Any) -> Array:
        rng = np.random.default_rng(seed)
        return np.asarray(centre + 0.1 * rng.standard_normal(len(target)))

    size = (len(target),)
    return from_pyfunc(
        len(target),
        make_density,
        make_expansion,
        [np.dtype(np.float64)],
        [size],
        [_POSITIONS],
        make_initial_point_fn=initial,
    )


def sample_nuts(
    family: Family, rows: Rows, parametrisation: Parametrisation, draws: int, seed: int, progress: Progress | None
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]], Diagnostics]:
    """Sample the PyMC model with nutpie, or the density and slope of the kernels.

    The latter where parameters depend on covariates, and for families without a distribution in PyMC.

    Returns
    -------
    draws : variable or parameter -> (CHAINS, kept draws per chain).
    sample_stats : diverging, energy, of the same shape.
    diagnostics : judged on all draws, before thinning.
    """
    import nutpie

    wanted = math.ceil(draws / CHAINS)
    thinning = max(THINNING, math.ceil(LEAST / wanted))

    def report(chains: Any) -> None:
        if progress is not None:
            total = sum(chain.total_draws for chain in chains)
            progress("sampling", sum(chain.finished_draws for chain in chains) / total if total else 0.0)

    with _sources_swept_up(), warnings.catch_warnings():
        # Messages of the libraries underneath to their own developers.
        warnings.simplefilter("ignore", category=DeprecationWarning)
        warnings.simplefilter("ignore", category=FutureWarning)
        target = target_of(family, rows, parametrisation) if rows.covariates or not family.distribution else None
        if target is not None:
            compiled = _of_target(target)
        else:
            if progress is not None:
                progress("compiling the model", 0.0)
            names = list(dict.fromkeys([v.name for v in parametrisation.variables] + list(family.parameters)))
            compiled = nutpie.compile_pymc_model(build_model(family, rows, parametrisation), var_names=names)
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
    if target is not None:
        positions = trace["posterior"][_POSITIONS].to_numpy().astype(np.float64)
        full = {**target.values(positions), **target.named_parameters(positions)}
    else:
        full = {name: trace["posterior"][name].to_numpy().astype(np.float64) for name in names}
    stats = trace["sample_stats"]
    energy, diverging = stats["energy"].to_numpy(), stats["diverging"].to_numpy()
    judged = {name: full[name] for name in family.parameters}
    for effect in rows.covariates:
        judged |= {f"{effect}[{k}]": full[effect][..., k] for k in range(full[effect].shape[-1])}
    diagnostics = judge_nuts(judged, energy, diverging)
    kept = {name: values[:, ::thinning] for name, values in full.items()}
    return kept, {"diverging": diverging[:, ::thinning], "energy": energy[:, ::thinning]}, diagnostics
