"""BG/NBD: purchases at a steady rate until a customer drops out after one of them."""

from lifeworth.families.base import Family
from lifeworth.families.links import LogitShift, LogShift
from lifeworth.families.parameters import Parameter, Parametrisation, PriorSpec, Slot, Variable, itself
from lifeworth.families.statistics import RECENCY_FREQUENCY

# Times are in units of the data's mean time between purchases, so that days or weeks change nothing.
BG_NBD = Family(
    name="bg_nbd",
    label="BG/NBD",
    statistic=RECENCY_FREQUENCY,
    definitions=(
        Parameter("r", "shape of purchase rates over customers"),
        Parameter("alpha", "rate of purchase rates, in {unit}", "time"),
        Parameter("a", "dropout: a / (a + b) is the mean chance to leave after a purchase"),
        Parameter("b", "dropout: with a"),
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
            ("a", "b"),
            (
                # phi is the mean probability to drop out after a purchase, kappa how similar customers are in it.
                Parametrisation(
                    (
                        Variable("phi_dropout", "unit", PriorSpec("Beta", {"alpha": 1.0, "beta": 1.0})),
                        Variable("kappa_dropout", prior=PriorSpec("LogNormal", {"mu": 1.0, "sigma": 1.0})),
                    ),
                    lambda values, scale: {
                        "a": values["phi_dropout"] * values["kappa_dropout"],
                        "b": (1.0 - values["phi_dropout"]) * values["kappa_dropout"],
                    },
                ),
                itself("a", "b"),
            ),
        ),
    ),
    source='Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing Science 24(2)',
    dropout="at purchases",
    clock=True,
    time_parameter="alpha",
    effects={"purchase": LogShift("alpha", -1, "rate"), "dropout": LogitShift("a", "b", "odds")},
    distribution="BetaGeoNBD",
    arguments=("a", "b", "r", "alpha"),
    counterpart="BetaGeoModel",
)
