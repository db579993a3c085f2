"""The models a user names: a family, and the priors put on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from lifeworth.covariates import check_formula
from lifeworth.display import cards
from lifeworth.display.progress import Progress, watched
from lifeworth.errors import UsageError
from lifeworth.families import FAMILIES, Family
from lifeworth.families.design import ONE_FOR_ALL, Covariates, Design
from lifeworth.families.distinct import Rows
from lifeworth.families.parameters import PriorSpec
from lifeworth.families.posterior import Posterior
from lifeworth.families.statistics import SPEND
from lifeworth.inference.covariate_target import COEFFICIENT_PRIOR
from lifeworth.inference.diagnostics import Diagnostics
from lifeworth.inference.fit import infer, of_all_orders
from lifeworth.migration_hints import Answers, helpful
from lifeworth.model.fit import Fit, PurchaseFit, SpendFit, as_fit, fit_class
from lifeworth.model.fit_data import flattened
from lifeworth.model.provenance import Described, Origin, Priors, now, versions
from lifeworth.periods import TimeUnit, check_time_unit
from lifeworth.rfm import RFM


class Model[F: Fit](Answers):
    """A model to be fitted: a family and its priors.

    Parameters
    ----------
    priors : variable -> `pymc_extras.prior.Prior`, in place of the defaults; or "flat", for maximum
        likelihood. A prior on a parameter itself is in the unit of the RFM table; the default priors
        are on quantities without a unit, so that the unit changes nothing.
    """

    family: ClassVar[Family]
    design: Design = ONE_FOR_ALL

    @classmethod
    def _answer(cls, name: str) -> str | None:
        fit = fit_class(cls.family)
        return f"{cls.__name__}().fit(rfm) gives the fit, which answers" if hasattr(fit, name) else fit._answer(name)

    def __init__(self, priors: Mapping[str, Any] | Literal["flat"] | None = None, **formulas: str | None) -> None:
        self._given = priors
        self.formulas = {effect: check_formula(text, effect) for effect, text in formulas.items() if text is not None}
        if priors != "flat" if isinstance(priors, str) else not isinstance(priors, Mapping | None):
            raise UsageError(
                f'priors must be a mapping of names to priors, "flat" or None, and not {type(priors).__name__}. A '
                f"table goes to the method: {type(self).__name__}().fit(rfm)."
            )
        if priors is None or priors == "flat":
            self.priors: Priors | None = cast("Priors | None", priors)
        else:
            self.priors = {name: PriorSpec.of(prior, name) for name, prior in priors.items()}
        self._effect_priors = self._priors_of_effects()
        base = self.priors
        if isinstance(base, Mapping):
            base = {name: prior for name, prior in base.items() if name not in self._effect_priors}
        self._parametrisation = replace(self.family.parametrisation(base), effects=self._effect_priors)

    def _priors_of_effects(self) -> dict[str, PriorSpec | None]:
        """Priors of coefficients, by effect with a formula; None: flat."""
        if self.priors == "flat":
            return dict.fromkeys(self.formulas)
        given = self.priors if isinstance(self.priors, Mapping) else {}
        idle = [effect for effect in self.family.effects if effect in given and effect not in self.formulas]
        if idle:
            raise UsageError(
                f"priors holds one for the effects of covariates on {idle[0]}, and there are none: give "
                f'{type(self).__name__}({idle[0]}="a formula").'
            )
        return {effect: given.get(effect, COEFFICIENT_PRIOR) for effect in self.formulas}

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and sent to other processes as what it was given."""
        return partial(type(self), self._given, **self.formulas), ()

    def __repr__(self) -> str:
        arguments = [f"{effect}={text!r}" for effect, text in self.formulas.items()]
        if self.priors == "flat":
            arguments.insert(0, 'priors="flat"')
        elif self.priors is not None:
            listed = ", ".join(f'"{name}": {prior}' for name, prior in self.priors.items())
            arguments.insert(0, f"priors={{{listed}}}")
        return f"{type(self).__name__}({', '.join(arguments)})"

    def _design(self, rfm: RFM) -> Design:
        """The design: customers with the same covariates share parameters, if there are formulas."""
        if not self.formulas:
            return self.design
        rotate = {effect: _is_centred_normal(prior) for effect, prior in self._effect_priors.items()}
        return Covariates.learned(self.formulas, rfm, self.family.statistic is SPEND, rotate)

    def _repr_html_(self) -> str:
        return cards.show(self)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The configuration, as scikit-learn asks for it: what the constructor was given.

        Parameters
        ----------
        deep : also what is inside, as "priors__r" and so on.

        Examples
        --------
        >>> BetaGeo(priors="flat").get_params()
        {'priors': 'flat'}
        """
        found: dict[str, Any] = {"priors": self._given, **dict.fromkeys(self.family.effects), **self.formulas}
        if not self.formulas:
            found = {"priors": self._given}
        if deep and isinstance(self._given, Mapping):
            found |= {f"priors__{name}": prior for name, prior in self._given.items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Change the configuration in place, as scikit-learn does; the model itself comes back.

        Parameters
        ----------
        params : `priors`, or single ones of them: `priors__r=Prior(...)`.

        Raises
        ------
        UsageError : an unknown parameter, or priors that make no sense together; nothing is changed then.

        Examples
        --------
        >>> BetaGeo().set_params(priors="flat")
        BetaGeo(priors="flat")
        """
        priors = params.pop("priors", self._given)
        formulas = {effect: params.pop(effect, self.formulas.get(effect)) for effect in self.family.effects}
        single = {
            name.removeprefix("priors__"): params.pop(name) for name in list(params) if name.startswith("priors__")
        }
        if params:
            raise UsageError(
                f"{type(self).__name__} has no {', no '.join(params)} to set; it has: "
                f"{', '.join(['priors', *self.family.effects])}."
            )
        if single:
            priors = {**(priors if isinstance(priors, Mapping) else {}), **single}
        made = type(self)(priors, **formulas)
        self.__dict__.update(made.__dict__)
        return self

    def _known(
        self, values: Mapping[str, Any], covariates: Any
    ) -> tuple[Mapping[str, Any], Design, dict[str, npt.NDArray[np.float64]]]:
        """Known parameters, the design of known covariates, and coefficients, (draws, coefficients)."""
        if not self.formulas:
            if covariates is not None:
                raise UsageError(f"covariates are of a model with formulas, such as {self._example}.")
            return values, self.design, {}
        if covariates is None:
            raise UsageError("A model with formulas needs covariates=, customers that show the levels of categories.")
        if isinstance(covariates, RFM):
            design = self._design(covariates)
        else:
            frame = pd.DataFrame(covariates)
            nothing = np.zeros(len(frame))
            frequency = np.asarray(frame.get("frequency", pd.Series(nothing)), dtype=np.int64)
            further = frame.drop(columns="frequency", errors="ignore").reset_index(drop=True)
            rfm = RFM(pd.RangeIndex(len(frame)), frequency, nothing, nothing, covariates=further)
            design = self._design(rfm)
        effects = {}
        for effect, encoding in design.encodings.items():
            given = values.get(effect, {})
            unknown = sorted(set(given) - set(encoding.names))
            if unknown:
                raise UsageError(
                    f"{effect} has no coefficient {', '.join(unknown)}; it has {', '.join(encoding.names)}."
                )
            columns = [np.atleast_1d(np.asarray(given.get(n, 0.0), dtype=np.float64)) for n in encoding.names]
            size = max(map(len, columns), default=1)
            draws = len(np.atleast_1d(values[self.family.parameters[0]]))
            effects[effect] = np.stack([np.broadcast_to(c, max(size, draws)) for c in columns], axis=1)
        return {name: value for name, value in values.items() if name not in self.formulas}, design, effects

    @property
    def _example(self) -> str:
        return f'{type(self).__name__}({next(iter(self.family.effects))}="channel")'

    def pymc_model(self, rfm: RFM) -> Any:
        """The `pymc.Model` that `method="nuts"` samples: distinct rows of `rfm`, weighted by their customers."""
        from lifeworth.inference.pymc_model import build_model

        return build_model(self.family, self.family.rows(rfm, self._design(rfm)), self._parametrisation)

    def prior_check(self, rfm: RFM, draws: int = 300, interval: float = 0.9, seed: int = 0) -> dict[str, pd.DataFrame]:
        """What the priors take for possible, before any of these customers is looked at.

        Parameters
        ----------
        rfm : table whose ages and unit of time, or typical spend, the priors are applied to.
        draws : worlds to draw from the priors.
        interval : probability that lower to upper hold.

        Returns
        -------
        Purchases: "frequency" (customers by repeat purchases: label, observed, expected, lower, upper), "purchases"
        (expected repeat purchases by age) and "alive" (share still customers by age; both with age, lower, lower_half,
        middle, upper_half, upper). Spend: "spend" (customers by mean spend), "mean_spend" (the population's, a row
        per draw) and "ratio" (of the mean spend nine of ten customers stay below to that one of ten stays below).
        `lifeworth.plots.plot_prior_predictive` draws it.

        Raises
        ------
        UsageError : flat priors, or a prior whose density only PyMC knows.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> check = BetaGeo().prior_check(calibration)["frequency"]
        >>> bool(check["observed"].between(check["lower"], check["upper"]).all())
        True
        """
        from lifeworth.model.datatree import prior_tables

        base = self.priors
        if isinstance(base, Mapping):
            base = {name: prior for name, prior in base.items() if name not in self._effect_priors}
        return prior_tables(self.family, base, rfm, draws, interval, seed)

    @helpful
    def fit(
        self,
        rfm: RFM,
        method: str = "auto",
        draws: int = 1000,
        seed: int = 0,
        progress: Progress = None,
    ) -> F:
        """Fit the model; a model of spend learns from the customers with a repeat purchase.

        Parameters
        ----------
        rfm : RFM table.
        method : "laplace" (draws around the mode, weighted: fast, with a certificate), "nuts" (PyMC's
            model, sampled: half a minute), "auto" (the first, and the second where the certificate
            fails), or "map" (the mode: one point).
        draws : posterior draws to keep, over all chains.
        seed : the same seed gives the same draws.
        progress : True shows a bar, False none; default, one in notebooks, for what takes more than a second. Or a
            function, called with (what, share done) now and then.

        Returns
        -------
        PurchaseFit or SpendFit

        Raises
        ------
        DataError : data the model cannot learn from, such as one-time buyers only.
        FitError : no starting point or no mode was found.
        UsageError : a method or a number of draws that does not exist.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> lw.BetaGeo(priors="flat").fit(calibration, method="map")  # the published estimates
        BG/NBD fit (r = 0.2426, alpha = 4.414, a = 0.7929, b = 2.426; 1 draw, warn)
        """
        design = self._design(rfm)
        return self.fit_rows(self.family.rows(rfm, design), rfm, method, draws, seed, progress, design)

    def fit_rows(
        self,
        rows: Rows,
        source: Described,
        method: str = "auto",
        draws: int = 1000,
        seed: int = 0,
        progress: Progress | None = None,
        design: Design | None = None,
    ) -> F:
        """Fit the model to distinct rows with counts that were brought together elsewhere; else as `fit`.

        Parameters
        ----------
        rows : as `Family.rows` gives them.
        source : units and audit of the table from which they are.
        design : by whose groups the rows were brought together.
        """
        if design is None and self.formulas:
            raise UsageError(
                f"{self!r} cannot be fitted to rows that were brought together elsewhere, as on Spark: formulas of "
                "covariates need the table of customers, so make it with rfm_summary(..., covariates=[...]) in one "
                "process."
            )
        design = ONE_FOR_ALL if design is None else design
        with watched(progress) as report:
            if rows.free is not None and len(rows.group) > 1 and not rows.covariates:
                raise UsageError(f"Only {self.family.label} supports free orders and groups of customers.")
            used = rows.paid
            found = infer(self.family, used, self._parametrisation, method, draws, seed, report)
            if rows.free is not None:
                found = of_all_orders(found, rows.free, seed)
        time_unit = source.time_unit if self.family.statistic.dimension == "time" else None
        flat = {name: flattened(found.draws[name]) for name in self.family.parameters}
        priors: Priors = (
            "flat"
            if self.priors == "flat"
            else {v.name: v.prior for v in self._parametrisation.variables if v.prior is not None}
            | {effect: prior for effect, prior in self._effect_priors.items() if effect in design.encodings and prior}
        )
        origin = Origin(
            customers=rows.customers,
            scale=used.scale,
            period=source.period,
            observation_end=source.observation_end,
            audit=source.audit,
            priors=priors,
            created=now(),
            versions=versions(),
        )
        effects = {effect: flattened(found.draws[effect]) for effect in design.encodings}
        posterior = Posterior(self.family, flat, time_unit, source.currency, source.period, design, effects)
        return self._made(posterior, found.diagnostics, origin, found.draws, found.sample_stats)

    @classmethod
    def from_datatree(cls, tree: Any) -> F:
        """The fit that `Fit.to_datatree` gave, with its units, priors and diagnostics.

        Parameters
        ----------
        tree : xarray.DataTree, as it was or read from a file; of its draws any may be left out.

        Raises
        ------
        UsageError : a tree of another making, or of another family.
        DataError : a tree that was damaged.

        Examples
        --------
        >>> known = BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> BetaGeo.from_datatree(known.to_datatree())
        BG/NBD fit (r = 0.243, alpha = 4.414, a = 0.793, b = 2.426; 1 draw, ok)
        """
        from lifeworth.model.interchange import from_datatree

        return cast(F, as_fit(from_datatree(cls.family, tree)))

    def of_draws(
        self,
        values: Mapping[str, Any],
        time_unit: TimeUnit | None = None,
        currency: str | None = None,
        period: TimeUnit | None = None,
        design: Design = ONE_FOR_ALL,
        effects: Mapping[str, Any] | None = None,
    ) -> F:
        """A fit with known parameters, (draws,) or (draws, groups of the design), and coefficients of covariates."""
        by = None if period is None else check_time_unit(period, "period")
        posterior = Posterior.from_parameters(self.family, values, time_unit, currency, by, design, effects)
        samples = {name: draws[None, :] for name, draws in {**posterior.draws, **posterior.effects}.items()}
        given = Diagnostics("given", "ok", ())
        return self._made(posterior, given, Origin(period=by, created=now(), versions=versions()), samples)

    def _made(self, *parts: Any) -> F:
        """A fit of the kind this model makes."""
        return cast(F, fit_class(self.family)(*parts))


def _is_centred_normal(prior: PriorSpec | None) -> bool:
    """Whether a prior looks the same in all rotations of the columns; a flat one does."""
    return prior is None or (prior.distribution == "Normal" and not prior.arguments.get("mu", 0.0))


class PurchaseModel(Model[PurchaseFit]):
    """A model of how often customers buy, and until when.

    Parameters
    ----------
    priors : mapping of names to `pymc_extras.prior.Prior`, "flat" or None
        As for all models; "purchase" and "dropout" name the prior of the coefficients of covariates. Default:
        Normal(0, 1), of a level of a category against the average of all, or of one standard deviation of a number.
    purchase : str, optional
        Formula of covariates of the purchase rate, such as "channel + log(first_spend)".
    dropout : str, optional
        Formula of covariates of dropout.
    """

    def __init__(
        self,
        priors: Mapping[str, Any] | Literal["flat"] | None = None,
        *,
        purchase: str | None = None,
        dropout: str | None = None,
    ) -> None:
        super().__init__(priors, purchase=purchase, dropout=dropout)

    @helpful
    def from_parameters(
        self,
        values: Mapping[str, Any],
        time_unit: TimeUnit,
        currency: str | None = None,
        period: TimeUnit | None = None,
        *,
        covariates: Any = None,
    ) -> PurchaseFit:
        """Take known parameters (numbers, or arrays of draws), in `time_unit`, as a fit.

        Parameters
        ----------
        values : parameter -> number, or (draws,) array.
        time_unit : the unit of time of the parameters.
        currency : what money is counted in.
        period : the periods purchases were counted in; RFM tables of another one are refused. Default: not known.
        covariates : of a model with formulas, customers that show the levels of categories: an RFM table or a frame.
            `values` then has "purchase" or "dropout" as well: coefficient -> number or (draws,) array, by the names
            that `Fit.effects` gives. Parameters are those of a customer with the average of these covariates.

        Raises
        ------
        UsageError : parameters missing, unknown, not positive or of unequal length.

        Examples
        --------
        >>> known = BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> round(float(known.expected_purchases_new_customer("39W")[0]), 4)
        1.1967
        """
        values, design, effects = self._known(values, covariates)
        return self.of_draws(values, check_time_unit(time_unit), currency, period, design, effects)

    @classmethod
    def from_pymc_marketing(cls, source: Any, time_unit: TimeUnit, currency: str | None = None) -> PurchaseFit:
        """Convert the draws of a fitted pymc-marketing model to a fit, with new diagnostics.

        Parameters
        ----------
        source : its fitted model (`BetaGeoModel`, `ModifiedBetaGeoModel`, `ParetoNBDModel`), or the idata of one.
        time_unit : the unit that its recency and T were in.
        currency : carried along.

        Raises
        ------
        UsageError : a model that is not fitted, of another family, or with covariates.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> known = BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> BetaGeo.from_pymc_marketing(known.to_pymc_marketing(calibration), time_unit="W")
        BG/NBD fit (r = 0.243, alpha = 4.414, a = 0.793, b = 2.426; 1 draw, warn)
        """
        from lifeworth.model.interchange import from_pymc_marketing

        data = from_pymc_marketing(cls.family, source, check_time_unit(time_unit), currency)
        return cast(PurchaseFit, as_fit(data))


class SpendModel(Model[SpendFit]):
    """A model of how much customers spend per purchase.

    Parameters
    ----------
    priors : mapping of names to `pymc_extras.prior.Prior`, "flat" or None
        As for all models; "spend" names the prior of the coefficients of covariates.
    spend : str, optional
        Formula of covariates of mean spend; `frequency`, the number of repeat purchases, may be one.
    """

    def __init__(self, priors: Mapping[str, Any] | Literal["flat"] | None = None, *, spend: str | None = None) -> None:
        super().__init__(priors, spend=spend)

    @helpful
    def from_parameters(
        self,
        values: Mapping[str, Any],
        currency: str | None = None,
        period: TimeUnit | None = None,
        *,
        covariates: Any = None,
    ) -> SpendFit:
        """Take known parameters (numbers, or arrays of draws) as a fit; arguments as for a model of purchases.

        Raises
        ------
        UsageError : parameters missing, unknown, not positive or of unequal length.
        """
        values, design, effects = self._known(values, covariates)
        return self.of_draws(values, None, currency, period, design, effects)

    @classmethod
    def from_pymc_marketing(cls, source: Any, currency: str | None = None) -> SpendFit:
        """Convert the draws of a fitted pymc-marketing `GammaGammaModel`, or its idata, with new diagnostics.

        Raises
        ------
        UsageError : a model that is not fitted, or of another family.
        """
        from lifeworth.model.interchange import from_pymc_marketing

        return cast(SpendFit, as_fit(from_pymc_marketing(cls.family, source, None, currency)))


class BetaGeo(PurchaseModel):
    """BG/NBD: customers buy at a steady rate and may drop out after any purchase.

    Parameters r, alpha (purchase rates are Gamma(r, alpha), alpha in time units) and a, b (chances to
    drop out after a purchase are Beta(a, b)). Variables with default priors: r, alpha_scaled (alpha
    over the mean time between purchases), phi_dropout = a / (a + b), kappa_dropout = a + b. Priors may
    be put on alpha, and on a and b, instead.

    Source: Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing Science 24(2).

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> lw.BetaGeo(priors="flat").fit(rfm, method="map")  # the published estimates
    BG/NBD fit (r = 0.2426, alpha = 4.414, a = 0.7929, b = 2.426; 1 draw, warn)
    """

    family = FAMILIES["bg_nbd"]


class ModifiedBetaGeo(PurchaseModel):
    """MBG/NBD model: BG/NBD with dropout after the first purchase, too.

    Parameters, variables and default priors are those of `BetaGeo`. A customer without a repeat purchase may
    have left already, which suits shops where many never come back.

    Source: Batislam, Denizel & Filiztekin (2007), "Empirical validation and comparison of models for customer
    base analysis", International Journal of Research in Marketing 24(3).

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> fit = lw.ModifiedBetaGeo(priors="flat").fit(rfm, method="map")
    >>> round(float(fit.probability_alive(rfm)[rfm.frequency == 0].max()), 2)  # even of those who never came back
    0.43
    """

    family = FAMILIES["mbg_nbd"]


class ParetoNBD(PurchaseModel):
    """Pareto/NBD: customers buy at a steady rate and may drop out at any time.

    Parameters r, alpha (purchase rates are Gamma(r, alpha), alpha in time units) and s, beta (dropout rates are
    Gamma(s, beta), beta in time units). Variables with default priors: r, alpha_scaled, s, beta_scaled (alpha and
    beta over the mean time between purchases). Priors may be put on alpha and beta instead.

    Source: Schmittlein, Morrison & Colombo (1987), "Counting your customers", Management Science 33(1).

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> lw.ParetoNBD(priors="flat").fit(rfm, method="map")  # the published estimates
    Pareto/NBD fit (r = 0.5533, alpha = 10.58, s = 0.6062, beta = 11.67; 1 draw, warn)
    """

    family = FAMILIES["pareto_nbd"]


class GammaGamma(SpendModel):
    """Gamma-Gamma: a customer's purchases scatter around a mean spend of the customer's own.

    Parameters p, q, v (v in money): spend per purchase is Gamma(p, nu), nu over customers Gamma(q, v).
    Variables with default priors: p, q_excess = q - 1, mean_spend_scaled (the population's mean spend
    over the data's). Priors may be put on q and v instead. Assumes that how much customers spend does
    not depend on how often they buy. Where repeat customers have a mean spend of 0, a share of orders is taken to be
    free, and parameters are those of all orders; `diagnostics.reasons` says so.

    Source: Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", note 025.

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> lw.GammaGamma(priors="flat").fit(rfm, method="map")  # the published estimates
    Gamma-Gamma fit (p = 6.25, q = 3.744, v = 15.44; 1 draw, warn)
    """

    family = FAMILIES["gamma_gamma"]


MODELS: dict[str, type[PurchaseModel] | type[SpendModel]] = {
    model.family.name: model for model in (BetaGeo, ModifiedBetaGeo, ParetoNBD, GammaGamma)
}
# What is fitted where nothing is said.
USUAL_PURCHASES = BetaGeo.family.name


def purchase_model(name: str, argument: str = "purchases") -> type[PurchaseModel]:
    """The model of purchases of a family's name, or a `UsageError` that names the choices."""
    known = {key: model for key, model in MODELS.items() if issubclass(model, PurchaseModel)}
    if name not in known:
        choices = ", ".join(f"{key} ({model.family.label})" for key, model in known.items())
        raise UsageError(f"{argument} {name!r} is not a model of purchases; there are: {choices}.")
    return known[name]
