"""Gamma-Gamma: the amounts of each customer's purchases vary around the customer's own mean spend."""

from lifeworth.families.base import Family
from lifeworth.families.links import LogShift
from lifeworth.families.parameters import Parameter, Parametrisation, PriorSpec, Slot, Variable, itself
from lifeworth.families.statistics import SPEND

# q > 1 by construction: at q <= 1 the population has no mean spend. Money is in units of the
# data's mean spend, so that euros or cents change nothing.
GAMMA_GAMMA = Family(
    name="gamma_gamma",
    label="Gamma-Gamma",
    statistic=SPEND,
    definitions=(
        Parameter("p", "shape of a customer's own amounts"),
        Parameter("q", "shape of how customers differ", start=3.0, no_mean_below=1.0),
        Parameter("v", "scale of how customers differ, in {unit}", "money"),
    ),
    slots=(
        Slot(
            ("p",),
            (
                Parametrisation(
                    (Variable("p", prior=PriorSpec("LogNormal", {"mu": 1.0, "sigma": 1.25})),),
                    lambda values, scale: {"p": values["p"]},
                ),
                itself("p"),
            ),
        ),
        Slot(
            ("q",),
            (
                Parametrisation(
                    (Variable("q_excess", prior=PriorSpec("LogNormal", {"mu": 1.0, "sigma": 1.25})),),
                    lambda values, scale: {"q": 1.0 + values["q_excess"]},
                ),
                itself("q"),
            ),
        ),
        Slot(
            ("v",),
            (
                # The population's mean spend p v / (q - 1), over the data's: what the data know best.
                Parametrisation(
                    (Variable("mean_spend_scaled", prior=PriorSpec("LogNormal", {"mu": 0.0, "sigma": 0.5})),),
                    lambda values, scale: {
                        "v": values["mean_spend_scaled"] * scale * (values["q"] - 1.0) / values["p"]
                    },
                ),
                itself("v"),
            ),
        ),
    ),
    source='Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", note 025',
    money_parameter="v",
    effects={"spend": LogShift("v", 1, "spend")},
    distribution="GammaGamma",
    counterpart="GammaGammaModel",
)
