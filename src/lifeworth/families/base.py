"""What a model family is, as data: parameters, variables with priors, kernels, and its PyMC distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from lifeworth.errors import DataError, UsageError
from lifeworth.families.free_orders import FreeOrders
from lifeworth.rfm import RFM
from lifeworth.timeunits import TimeUnit

Kind = Literal["purchases", "spend"]
Dimension = Literal["none", "time", "money"]
Values = Mapping[str, Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PriorSpec:
    """A prior by name, in pymc_extras' own terms: a PyMC distribution and its keyword arguments."""

    distribution: str
    arguments: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The form `pymc_extras.prior.Prior.from_dict` reads."""
        return {"dist": self.distribution, "kwargs": dict(self.arguments)}

    @classmethod
    def of(cls, prior: Any, name: str) -> PriorSpec:
        """Take a PriorSpec or a pymc_extras Prior with plain numbers as arguments."""
        if isinstance(prior, PriorSpec):
            return prior
        to_dict = getattr(prior, "to_dict", None)
        content = to_dict() if callable(to_dict) else None
        if not isinstance(content, dict) or "dist" not in content:
            raise UsageError(f"The prior of {name} must be a pymc_extras Prior, not {type(prior).__name__}.")
        arguments = content.get("kwargs", {})
        if not all(isinstance(value, (int, float)) for value in arguments.values()):
            raise UsageError(f"The prior of {name} must have plain numbers as its arguments, not {arguments}.")
        return cls(str(content["dist"]), {key: float(value) for key, value in arguments.items()})


@dataclass(frozen=True)
class Parameter:
    """What is known of a parameter before any data.

    Attributes
    ----------
    name : as in the formulas.
    meaning : for people, in one line; `{unit}` is where the unit it is counted in goes.
    dimension : what it is counted in: "time", "money" or "none".
    start : where a search may begin; of a typical time or typical spend, where it has a dimension.
    no_mean_below : at this value and below, the model's expectations are infinite (None: nowhere).
    """

    name: str
    meaning: str
    dimension: Dimension = "none"
    start: float = 1.0
    no_mean_below: float | None = None

    def describe(self, unit: str) -> str:
        """Its meaning, with the unit of time or of money it is counted in."""
        return self.meaning.format(unit=unit)

    def in_unit(self, scale: float) -> float:
        """One unit of this parameter in data whose typical time or spend is `scale`."""
        return 1.0 if self.dimension == "none" else scale


@dataclass(frozen=True)
class Variable:
    """A quantity that is sampled: its support and its prior (None: flat)."""

    name: str
    support: Literal["positive", "unit"] = "positive"
    prior: PriorSpec | None = None


@dataclass(frozen=True)
class Parametrisation:
    """Variables, and how parameters follow from them and from the data's scale.

    `to_parameters(values, scale)` uses plain arithmetic only, so that it works on numbers, arrays
    and PyTensor variables alike. It may use parameters that slots before it have set.
    """

    variables: tuple[Variable, ...]
    to_parameters: Callable[[Values, float], dict[str, Any]]


@dataclass(frozen=True)
class Slot:
    """Some parameters, and the ways to put priors on them: the default first, themselves (flat) last."""

    parameters: tuple[str, ...]
    choices: tuple[Parametrisation, ...]


def itself(*names: str) -> Parametrisation:
    """Parameters as their own variables, in the data's unit and without a prior."""
    return Parametrisation(
        tuple(Variable(name) for name in names), lambda values, scale: {name: values[name] for name in names}
    )


@dataclass(frozen=True)
class Rows:
    """Distinct rows of data that a likelihood sees, with the number of customers behind each.

    Attributes
    ----------
    columns : name -> (n,) float64.
    counts : (n,) float64, customers per distinct row.
    scale : a typical time (purchases) or a typical amount (spend), in the data's unit.
    free : of a model of spend, customers with a mean spend of 0, who are in no row; None where there are none.
    """

    columns: dict[str, npt.NDArray[np.float64]]
    counts: npt.NDArray[np.float64]
    scale: float
    free: FreeOrders | None = None

    @property
    def customers(self) -> int:
        """Customers behind the rows."""
        return int(self.counts.sum())


def family_named(name: str) -> Family:
    """The family of that name in the registry."""
    return cast("Family", import_module("lifeworth.families").FAMILIES[name])


@dataclass(frozen=True)
class Family:
    """A model family.

    Attributes
    ----------
    name, label : the registry's key, and the name people use.
    kind : "purchases" or "spend".
    definitions : its parameters, in the order of the kernels' columns.
    slots : the parametrisations to choose from.
    source : where the model comes from.
    distribution : name of its distribution in pymc_marketing.clv.distributions (purchases), or in
        inference/distributions.py (spend).
    arguments : the order in which the random generator of that distribution takes the parameters.
    counterpart : name of its model in pymc_marketing.clv.
    cost : time of a log-likelihood, in those of BG/NBD; says when interpolation is worth its while.
    """

    name: str
    label: str
    kind: Kind
    definitions: tuple[Parameter, ...]
    slots: tuple[Slot, ...]
    source: str
    distribution: str = ""
    arguments: tuple[str, ...] = ()
    counterpart: str = ""
    cost: float = 1.0

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and sent to other processes by name: there is one of each."""
        return family_named, (self.name,)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the kernels' columns."""
        return tuple(parameter.name for parameter in self.definitions)

    @property
    def kernels(self) -> ModuleType:
        """The module of compiled functions, imported when first used."""
        return import_module(f"lifeworth.kernels.{self.name}")

    def rows(self, rfm: RFM) -> Rows:
        """Distinct rows with counts, checked for what this kind of model cannot do without."""
        if not isinstance(rfm, RFM):
            raise UsageError(
                f"A model is fitted to an RFM table, not to {type(rfm).__name__}: make one with rfm_summary, "
                "or with RFM.from_frame, which names its unit of time."
            )
        return _purchase_rows(rfm) if self.kind == "purchases" else _spend_rows(rfm)

    def parametrisation(self, priors: Mapping[str, PriorSpec] | Literal["flat"] | None) -> Parametrisation:
        """Choose, for each slot, the parametrisation whose variables the user put priors on.

        Raises
        ------
        UsageError : a prior on something this family does not have, or on half of a pair.
        """
        wanted = {} if priors is None or priors == "flat" else dict(priors)
        known = [v.name for slot in self.slots for choice in slot.choices for v in choice.variables]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise UsageError(
                f"{self.label} has no {' and no '.join(unknown)} to put a prior on; "
                f"it has: {', '.join(dict.fromkeys(known))}."
            )
        chosen: list[Parametrisation] = []
        variables: list[Variable] = []
        for slot in self.slots:
            choice = slot.choices[-1] if priors == "flat" else _choose(slot, wanted, self.label)
            chosen.append(choice)
            variables += [
                Variable(v.name, v.support, None if priors == "flat" else wanted.get(v.name, v.prior))
                for v in choice.variables
            ]

        def to_parameters(values: Values, scale: float) -> dict[str, Any]:
            known_so_far = dict(values)
            for choice in chosen:
                known_so_far |= choice.to_parameters(known_so_far, scale)
            return {name: known_so_far[name] for name in self.parameters}

        return Parametrisation(tuple(variables), to_parameters)


def _choose(slot: Slot, wanted: Mapping[str, PriorSpec], label: str) -> Parametrisation:
    named = {v.name for choice in slot.choices for v in choice.variables} & set(wanted)
    for choice in slot.choices:
        names = {v.name for v in choice.variables}
        if named <= names:
            bare = [v.name for v in choice.variables if v.prior is None and v.name not in wanted]
            if named and bare:
                raise UsageError(f"{label}: a prior on {', '.join(sorted(named))} needs one on {', '.join(bare)} too.")
            return choice
    raise UsageError(
        f"{label}: {', '.join(sorted(named))} are different ways to say the same thing; put priors on one of them."
    )


@dataclass(frozen=True)
class Posterior:
    """Draws of a family's parameters, in a unit of time and of money.

    Attributes
    ----------
    family : the model they belong to.
    draws : parameter -> (draws,) float64.
    time_unit : unit of time of the parameters; None for spend models.
    currency : unit of money, or None.
    period : periods within which purchases are one purchase, or None where that is not known.
    """

    family: Family
    draws: dict[str, npt.NDArray[np.float64]]
    time_unit: TimeUnit | None = None
    currency: str | None = None
    period: TimeUnit | None = None

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """(draws, 1, parameters) in the family's order, C-contiguous: what kernels take where customers share them."""
        return np.column_stack([self.draws[name] for name in self.family.parameters])[:, None, :].copy()

    def __len__(self) -> int:
        return len(self.draws[self.family.parameters[0]])

    @property
    def typical_age(self) -> float:
        """The least of the parameters in units of time: how fast, about, what is expected of a new customer changes."""
        times = [self.draws[p.name].mean() for p in self.family.definitions if p.dimension == "time"]
        return float(min(times))

    @classmethod
    def from_parameters(
        cls,
        family: Family,
        values: Mapping[str, Any],
        time_unit: TimeUnit | None,
        currency: str | None = None,
        period: TimeUnit | None = None,
    ) -> Posterior:
        """Check known numbers, or draws, and take them as a posterior."""
        missing = [name for name in family.parameters if name not in values]
        extra = [name for name in values if name not in family.parameters]
        if missing or extra:
            raise UsageError(
                f"{family.label} has the parameters {', '.join(family.parameters)}; "
                f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(extra) or 'none'}."
            )
        draws = {name: np.atleast_1d(np.asarray(values[name], dtype=np.float64)).copy() for name in family.parameters}
        sizes = {array.shape for array in draws.values()}
        if len(sizes) > 1 or next(iter(sizes))[0] == 0 or len(next(iter(sizes))) > 1:
            raise UsageError(
                f"The draws of {', '.join(family.parameters)} must be numbers or 1-dimensional arrays of one length, "
                f"not of shapes {[array.shape for array in draws.values()]}."
            )
        bad = [name for name, array in draws.items() if not np.all(np.isfinite(array) & (array > 0))]
        if bad:
            raise UsageError(f"{family.label}: {', '.join(bad)} must be positive and finite.")
        return cls(family, draws, time_unit, currency, period)


def distinct(*columns: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the distinct rows of columns, the distinct row of each row, and their counts."""
    order = np.lexsort(columns[::-1])
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in columns:
        in_order = column[order]
        new[1:] |= in_order[1:] != in_order[:-1]
    group = np.cumsum(new) - 1
    inverse = np.empty(len(order), dtype=np.int64)
    inverse[order] = group
    return order[new], inverse, np.bincount(group)


def _purchase_rows(rfm: RFM) -> Rows:
    first, _, counts = distinct(rfm.frequency, rfm.recency, rfm.T)
    return purchase_rows(rfm.frequency[first], rfm.recency[first], rfm.T[first], counts)


def _spend_rows(rfm: RFM) -> Rows:
    if rfm.monetary_value is None:
        raise DataError(
            "This RFM table has no monetary_value, which a model of spend needs: name the column of amounts "
            "when you make it."
        )
    told = (rfm.frequency > 0) & (rfm.monetary_value >= 0)
    if not (told & (rfm.monetary_value > 0)).any():
        return spend_rows(rfm.frequency, rfm.monetary_value, np.ones(len(rfm), dtype=np.int64))
    x, z = rfm.frequency[told], rfm.monetary_value[told]
    first, _, counts = distinct(x, z)
    return spend_rows(x[first], z[first], counts)


def purchase_rows(frequency: Integers, recency: Floats, T: Floats, counts: Integers) -> Rows:
    """What a model of purchases learns from: distinct rows, in order, and how many customers each stands for."""
    repeats, customers = int((frequency * counts).sum()), int(counts.sum())
    if repeats == 0:
        raise DataError(
            f"None of the {customers:,} customers bought a second time, so the data cannot say how often customers "
            "come back: wait for repeat purchases, or look at a longer time."
        )
    _refuse_one(customers)
    # Sums over distinct rows: they do not depend on the order of customers, nor on who brought the rows together.
    between = float((recency * counts).sum()) / repeats
    scale = between if between > 0 else float((T * counts).sum()) / customers
    if scale == 0:
        raise DataError(
            f"No time has passed for any of the {customers:,} customers (T is 0 for all), "
            "so the data cannot say how often customers come back: set a later observation_end."
        )
    return Rows({"x": frequency.astype(np.float64), "t_x": recency, "T": T}, counts.astype(np.float64), scale)


def spend_rows(frequency: Integers, monetary_value: Floats, counts: Integers) -> Rows:
    """What a model of spend learns from: distinct rows, in order, and how many customers each stands for."""
    use = (frequency > 0) & (monetary_value > 0)
    if not use.any():
        raise DataError(
            f"None of the {int(counts.sum()):,} customers has a repeat purchase with a positive amount, "
            "so a model of spend has nothing to learn from."
        )
    x, z, n = frequency[use].astype(np.float64), monetary_value[use], counts[use]
    known = (frequency > 0) & (monetary_value >= 0)
    free = FreeOrders.of(frequency[known], counts[known], monetary_value[known] == 0)
    _refuse_one(int(n.sum()))
    if np.all(z == z[0]):
        raise DataError(
            f"Every customer spends exactly {z[0]:g}: a model of how spend differs has nothing to learn from. "
            "Value purchases at that amount instead."
        )
    return Rows({"x": x, "z": z}, n.astype(np.float64), scale=float((x * z * n).sum() / (x * n).sum()), free=free)


def _refuse_one(customers: int) -> None:
    if customers == 1:
        raise DataError("A single customer cannot show how customers differ: a model needs several that came back.")
