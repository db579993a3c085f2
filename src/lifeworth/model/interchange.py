"""Fits to and from others' objects: pymc-marketing's fitted models, and ArviZ' trees."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lifeworth.errors import DataError, DataWarning, UsageError
from lifeworth.families import Family
from lifeworth.families.design import ONE_FOR_ALL
from lifeworth.families.posterior import Posterior
from lifeworth.families.statistics import SPEND
from lifeworth.inference.diagnostics import Diagnostics, judge_nuts
from lifeworth.model.fit_data import FitData
from lifeworth.model.provenance import Origin
from lifeworth.model.record import from_record, to_record
from lifeworth.periods import TimeUnit
from lifeworth.predict import check_units

if TYPE_CHECKING:
    import xarray

    from lifeworth.rfm import RFM

Samples = dict[str, npt.NDArray[Any]]
# The attribute of a tree that holds everything of a fit but its draws.
RECORD = "lifeworth"
_DIMS = ("chain", "draw")


def to_pymc_marketing(fit: FitData, rfm: RFM) -> Any:
    """The model of `Fit.to_pymc_marketing`."""
    from arviz_base import from_dict
    from pymc_extras.prior import Prior
    from pymc_marketing import __version__, clv

    table = fit._rfm(rfm)
    check_units(fit.posterior, table)
    if fit.posterior.design.kind != ONE_FOR_ALL.kind:
        raise UsageError("Parameters that differ between groups of customers cannot be carried to pymc-marketing.")
    columns = ["customer_id", "frequency", "recency", "T"]
    if fit.family.statistic is SPEND:
        fit.family.rows(table)  # refuses a table without spend
        free = int(((table.frequency > 0) & (table.monetary_value == 0)).sum())
        if free:
            warnings.warn(
                f"{free:,} repeat customers with a mean spend of 0 are not in the data of the model, since "
                "pymc-marketing takes positive amounts only; its parameters are those of this fit, so what it expects "
                "of a table of customers is the same.",
                DataWarning,
                stacklevel=3,
            )
        table = table.take(SPEND.mask(table))
        columns = ["customer_id", "frequency", "monetary_value"]
    flat = {name: Prior("HalfFlat") for name in fit.family.parameters}
    model = getattr(clv, fit.family.counterpart)(model_config=flat)
    model.build_model(table.to_pandas()[columns])
    groups: dict[str, Any] = {"posterior": {name: fit.samples[name] for name in fit.family.parameters}}
    if fit.sample_stats:
        groups["sample_stats"] = dict(fit.sample_stats)
    tree = from_dict(groups)
    tree["posterior"].attrs["pymc_marketing_version"] = __version__
    tree["fit_data"] = model.create_fit_data_group()
    model.idata = model.set_idata_attrs(tree)
    model.is_fitted_ = True
    return model


def from_pymc_marketing(family: Family, source: Any, time_unit: TimeUnit | None, currency: str | None) -> FitData:
    """The content of a fit from a fitted pymc-marketing model, or from what its `fit` returned."""
    tree = getattr(source, "idata", source)
    if tree is None:
        raise UsageError("This pymc-marketing model has not been fitted: call its fit method first.")
    posterior = _group(tree, "posterior")
    if posterior is None:
        raise UsageError(
            f"Give a fitted pymc-marketing model, or its idata with a posterior group, not {type(source).__name__}."
        )
    attributes = getattr(tree, "attrs", {})
    said = str(attributes.get("model_type", getattr(source, "_model_type", family.label)))
    if not said.startswith(family.label):
        raise UsageError(f"This is a model of {said}, and {family.label} was asked for.")
    missing = [name for name in family.parameters if name not in posterior]
    if missing:
        raise UsageError(
            f"The posterior has no {', '.join(missing)}, which {family.label} needs; "
            f"it has: {', '.join(map(str, posterior.data_vars)) or 'nothing'}."
        )
    shared = [name for name in posterior.data_vars if set(posterior[name].dims) == set(_DIMS)]
    apart = [name for name in family.parameters if name not in shared]
    if apart:
        raise UsageError(
            f"This {family.label} model has covariates ({', '.join(apart)} differ between customers), which "
            "cannot be converted: fit it without them."
        )
    samples = {str(name): _numbers(posterior[name]) for name in shared}
    parameters = {name: samples[name].ravel() for name in family.parameters}
    given = Posterior.from_parameters(family, parameters, time_unit, currency)
    stats = _group(tree, "sample_stats")
    sample_stats = {
        name: stats[name].transpose(*_DIMS).to_numpy()
        for name in ("diverging", "energy")
        if stats is not None and name in stats and set(stats[name].dims) == set(_DIMS)
    }
    data = _group(tree, "fit_data")
    origin = Origin(
        customers=0 if data is None else int(next(iter(data.sizes.values()))),
        created=str(posterior.attrs.get("created_at", "")),
        versions={"pymc-marketing": str(posterior.attrs.get("pymc_marketing_version", "unknown"))},
    )
    diagnostics = _judge({name: samples[name] for name in family.parameters}, sample_stats)
    return FitData(given, diagnostics, origin, samples, sample_stats)


def with_record(tree: xarray.DataTree, fit: FitData) -> xarray.DataTree:
    """Add the origin of its draws to a tree."""
    tree.attrs[RECORD] = json.dumps(to_record(fit))
    return tree


def from_datatree(family: Family, tree: Any) -> FitData:
    """The content of a fit from what `Fit.to_datatree` gave."""
    record, posterior = getattr(tree, "attrs", {}).get(RECORD), _group(tree, "posterior")
    if not isinstance(record, str) or posterior is None:
        raise UsageError(
            "This is not a tree that to_datatree made: from_pymc_marketing reads those of pymc-marketing, "
            "and from_parameters takes draws from anywhere."
        )
    stats = _group(tree, "sample_stats")
    samples, sample_stats = (
        {} if group is None else {str(name): _numbers(group[name], None) for name in group.data_vars}
        for group in (posterior, stats)
    )
    try:
        content = json.loads(record)
    except ValueError as error:
        raise DataError("The DataTree is damaged: what lifeworth wrote about it cannot be read.") from error
    fit = from_record(content, samples, sample_stats, "the DataTree")
    if fit.family is not family:
        raise UsageError(f"This is a fit of {fit.family.label}, and {family.label} was asked for.")
    return fit


def _group(tree: Any, name: str) -> Any:
    """A group of a DataTree, or of ArviZ' older InferenceData, as a dataset; None if it does not exist."""
    group = getattr(tree, name, None)
    return getattr(group, "dataset", group) if hasattr(group, "data_vars") else None


def _numbers(variable: Any, kind: Any = np.float64) -> npt.NDArray[Any]:
    """(chains, draws), or (chains, draws, groups)."""
    return np.ascontiguousarray(variable.transpose(*_DIMS, ...).to_numpy(), dtype=kind)


def _judge(parameters: Samples, sample_stats: Samples) -> Diagnostics:
    """The verdict on draws of another's making, by the figures there are."""
    if next(iter(parameters.values())).size == 1:
        return Diagnostics("map", "warn", ("A point estimate, which has no uncertainty.",))
    judged = judge_nuts(parameters, sample_stats.get("energy"), sample_stats.get("diverging"))
    return replace(judged, method="pymc-marketing")
