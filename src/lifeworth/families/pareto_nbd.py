"""Pareto/NBD: purchases at a steady rate until a customer drops out, at any time."""

from lifeworth.families.base import Family
from lifeworth.families.links import LogShift
from lifeworth.families.parameters import Parameter, Parametrisation, PriorSpec, Slot, Variable, itself
from lifeworth.families.statistics import RECENCY_FREQUENCY

# Times are in units of the data's mean time between purchases, so that days or weeks change nothing.
PARETO_NBD = Family(
    name="pareto_nbd",
    label="Pareto/NBD",
    statistic=RECENCY_FREQUENCY,
    definitions=(
        Parameter("r", "shape of purchase rates over customers"),
        Parameter("alpha", "rate of purchase rates, in {unit}", "time"),
        Parameter("s", "shape of dropout rates over customers"),
        Parameter("beta", "rate of dropout rates, in {unit}", "time"),
    ),
    slots=(
        Slot(
            ("r",),
            (
                Parametrisation(
                    (Variable("r", prior=PriorSpec("LogNormal", {"mu": -0.5, "sigma": 1.25})),),
                    lambda values, scale: {"r": values["r"]},
                ),
                itself("r"),
            ),
        ),
        Slot(
            ("alpha",),
            (
                Parametrisation(
                    (Variable("alpha_scaled", prior=PriorSpec("LogNormal", {"mu": 0.0, "sigma": 1.25})),),
                    lambda values, scale: {"alpha": values["alpha_scaled"] * scale},
                ),
                itself("alpha"),
            ),
        ),
        Slot(
            ("s",),
            (
                # Few customers ever show when they left, so the data say less about s and beta than about r
                # and alpha; a tighter prior keeps s from zero, at which no customer ever leaves.
                Parametrisation(
                    (Variable("s", prior=PriorSpec("LogNormal", {"mu": -0.5, "sigma": 1.0})),),
                    lambda values, scale: {"s": values["s"]},
                ),
                itself("s"),
            ),
        ),
        Slot(
            ("beta",),
            (
                Parametrisation(
                    (Variable("beta_scaled", prior=PriorSpec("LogNormal", {"mu": 1.0, "sigma": 1.25})),),
                    lambda values, scale: {"beta": values["beta_scaled"] * scale},
                ),
                itself("beta"),
            ),
        ),
    ),
    source='Schmittlein, Morrison & Colombo (1987), "Counting your customers", Management Science 33(1)',
    dropout="any time",
    time_parameter="alpha",
    effects={"purchase": LogShift("alpha", -1, "rate"), "dropout": LogShift("beta", -1, "rate")},
    distribution="ParetoNBD",
    arguments=("r", "alpha", "s", "beta"),
    counterpart="ParetoNBDModel",
    cost=6.0,  # an integral per customer
)
