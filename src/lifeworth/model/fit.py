"""A fit: draws of a model's parameters, what they were made from, and what they say of customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from lifeworth import migration_hints, predict
from lifeworth.display import cards
from lifeworth.errors import UsageError
from lifeworth.families import Family
from lifeworth.families.posterior import Posterior
from lifeworth.families.statistics import RECENCY_FREQUENCY, SPEND
from lifeworth.migration_hints import Answers, helpful
from lifeworth.model.fit_data import FitData
from lifeworth.periods import Duration, Horizon, TimeUnit, horizon_interval, horizon_length
from lifeworth.rfm import RFM

if TYPE_CHECKING:
    import xarray

    from lifeworth.inference.loo import ELPD

Array = predict.Array
# Coefficients that a fit shows of itself in one line.
_SHOWN = 4
_EFFECT_COLUMNS = (
    *("effect", "term", "mean", "sd", "lower", "upper"),
    *("ratio", "ratio_lower", "ratio_upper", "ratio_of"),
)


class Fit(FitData, Answers):
    """A fitted model.

    Attributes
    ----------
    posterior : family, draws and units.
    diagnostics : method, verdict, reasons, r_hat, ess, divergences, k_hat.
    origin : what it was made from.
    samples : variable or parameter -> (chains, draws); (chains, draws, groups) where groups of customers differ.
    sample_stats : the sampler's figures, (chains, draws).

    Examples
    --------
    >>> import lifeworth as lw
    >>> rfm = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> fit = lw.BetaGeo().fit(rfm, seed=1)
    >>> fit.diagnostics.verdict, fit.draws["r"].shape, fit.time_unit
    ('ok', (1000,), 'W')
    """

    def __repr__(self) -> str:
        draws = f"{len(self.posterior):,} draw{'s' if len(self.posterior) > 1 else ''}"
        means = ", ".join(f"{name} = {values.mean():.4g}" for name, values in self.draws.items())
        for effect, values in self.posterior.effects.items():
            names = self.posterior.design.encodings[effect].names
            shown = [f"{name} {mean:+.3g}" for name, mean in zip(names, values.mean(axis=0), strict=True)][:_SHOWN]
            means += f"; {effect}: {', '.join(shown)}{', ...' if len(names) > _SHOWN else ''}"
        return f"{self.family.label} fit ({means}; {draws}, {self.diagnostics.verdict})"

    def _repr_html_(self) -> str:
        return cards.show(self)

    def _predictions(self, rfm: RFM, horizon: Horizon) -> dict[str, Array]:
        """What the group "predictions" of a DataTree holds: name -> (customers, draws)."""
        raise UsageError(f"A fit of {self.family.label} has no predictions for a DataTree.")

    def to_datatree(
        self,
        rfm: RFM | None = None,
        *,
        by: Literal["customer", "row"] = "customer",
        prior: int = 0,
        posterior_predictive: int = 0,
        predictions: Horizon | None = None,
        seed: int = 0,
    ) -> xarray.DataTree:
        """Everything ArviZ reads: posterior, sample_stats where a sampler ran, and more on demand.

        `BetaGeo.from_datatree` and its like make a fit of it again.

        Parameters
        ----------
        rfm : the table of the fit: adds log_likelihood, observed_data and constant_data.
        by : "customer", or "row": once per distinct row, for large tables. A row's log likelihood is then that
            of one customer of `constant_data["customers"]`, which ArviZ' loo does not know: `Fit.loo` does.
        prior : draws from the priors, group prior.
        posterior_predictive : replicates of the customers, group posterior_predictive; needs `rfm`.
        predictions : a horizon such as "39W": group predictions, (chain, draw, customer_id), with
            probability_alive (now) and expected_purchases (within the horizon), or, of a model of spend, with
            expected_spend, for which any horizon does; needs `rfm`, by customer.
        seed : of prior and posterior_predictive.

        Raises
        ------
        UsageError : another table than the fit's, no priors to draw from, or a log likelihood beyond 800 MB.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> fit = lw.BetaGeo().fit(calibration, draws=200)
        >>> dict(fit.to_datatree(calibration, predictions="39W")["predictions"].sizes)
        {'chain': 1, 'draw': 200, 'customer_id': 2357}
        """
        from lifeworth.model.datatree import datatree

        predict = None if predictions is None else lambda table: self._predictions(table, predictions)
        return datatree(self, rfm, by, prior, posterior_predictive, predict, seed)

    def to_pymc_marketing(self, rfm: RFM) -> Any:
        """A fitted model of pymc-marketing with these draws, for everything that its models can do.

        Parameters
        ----------
        rfm : customers to build it on, such as the table of the fit; a model of spend takes those with a repeat
            purchase and a positive mean spend, and warns of others (`DataWarning`): what it expects of customers
            is the same, free orders included.

        Returns
        -------
        BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel or GammaGammaModel of `pymc_marketing.clv`, in the units
        of the fit. Draws are carried over; its priors are flat.

        Raises
        ------
        UsageError : a table in another unit.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> theirs = fit.to_pymc_marketing(calibration)
        >>> round(float(theirs.expected_purchases(future_t=39)[0, 0, 0]), 3)
        1.226
        """
        from lifeworth.model.interchange import to_pymc_marketing

        return to_pymc_marketing(self, rfm)

    def loo(self, rfm: RFM) -> ELPD:
        """How well the fit would have predicted each customer of its table without having seen it (PSIS-LOO).

        Computed on distinct rows and summed over customers; equal to ArviZ' loo over all customers.

        Raises
        ------
        UsageError : another table than the fit's, or a fit of fewer than 100 draws.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> result = lw.BetaGeo().fit(calibration).loo(calibration)
        >>> round(result.elpd), result.warning
        (-9587, False)
        """
        from lifeworth.inference.diagnostics import relative_ess
        from lifeworth.inference.loo import leave_one_out
        from lifeworth.model.datatree import rows_of

        if len(self.posterior) < 100:
            raise UsageError(f"Leaving customers out needs 100 draws or more, and this fit has {len(self.posterior)}.")
        rows = rows_of(self, rfm)
        matrix = self.posterior.on(self._rfm(rfm)).matrix
        return leave_one_out(self.family, matrix, rows, relative_ess(self.samples))

    def predictive_check(
        self, rfm: RFM, replicates: int = 100, interval: float = 0.9, seed: int = 0
    ) -> dict[str, pd.DataFrame]:
        """Compare real with simulated customers: "frequency" and "recency", or "spend".

        Parameters
        ----------
        rfm : RFM table; of more than 20,000 customers, as many spread evenly are compared.
        replicates : made-up tables, under as many draws.
        interval : probability that lower to upper hold.

        Returns
        -------
        name -> frame with label, lower_edge, upper_edge of a bin, and its customers: observed, expected,
        lower, upper. "recency" counts those who came back by the share of their time until they last did.
        `lifeworth.plots.plot_predictive_check` draws it.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> check = lw.BetaGeo().fit(calibration).predictive_check(calibration)["frequency"]
        >>> bool((check["lower"] <= check["observed"]).head(3).all())
        True
        """
        from lifeworth.model.datatree import predictive_tables

        return predictive_tables(self, rfm, replicates, interval, seed)

    def summary(self) -> pd.DataFrame:
        """ArviZ' summary of the parameters: mean, sd, interval, effective samples, R-hat."""
        import arviz_stats

        posterior = self.to_datatree()["posterior"].dataset
        kind = "all" if posterior.sizes["draw"] > 3 else "stats"
        table: pd.DataFrame = arviz_stats.summary(
            posterior, var_names=list(self.family.parameters), kind=kind, round_to="none"
        )
        return table

    def effects(self, interval: float = 0.9) -> pd.DataFrame:
        """Effects of covariates: coefficients, and what they multiply.

        A coefficient is that of a level against the first level of its category, or of one unit of a number. Its
        exponential is a ratio: of purchase rates, of odds of dropping out at a purchase (BG/NBD, MBG/NBD) or of dropout
        rates (Pareto/NBD), or of mean spend.

        Parameters
        ----------
        interval : float, default 0.9
            Probability that lower to upper hold.

        Returns
        -------
        pandas.DataFrame
            One row per coefficient: effect ("purchase", "dropout" or "spend"), term, mean, sd, lower, upper, ratio,
            ratio_lower, ratio_upper and ratio_of; ratio is the median. Without covariates it has no rows.

        Examples
        --------
        >>> import lifeworth as lw
        >>> shop = lw.load_cdnow(sample=True).assign(month=lambda frame: frame["date"].dt.month_name())
        >>> rfm = lw.rfm_summary(shop, covariates=["month"], observation_end="1997-09-30")
        >>> fit = lw.BetaGeo(purchase="month").fit(rfm)
        >>> fit.effects()[["effect", "term", "ratio_of"]]
             effect              term ratio_of
        0  purchase  month[T.January]     rate
        1  purchase    month[T.March]     rate
        """
        if not 0 < interval < 1:
            raise UsageError(f"interval={interval!r} must lie between 0 and 1.")
        share = (1 - interval) / 2
        rows = []
        for effect, values in self.posterior.effects.items():
            names = self.posterior.design.encodings[effect].names
            for name, draws in zip(names, values.T, strict=True):
                lower, middle, upper = np.quantile(draws, [share, 0.5, 1 - share])
                spread = float(draws.std(ddof=1)) if len(draws) > 1 else np.nan
                ratios = np.exp([middle, lower, upper]).tolist()
                of = self.family.effects[effect].ratio
                rows.append([effect, name, float(draws.mean()), spread, lower, upper, *ratios, of])
        return pd.DataFrame(rows, columns=list(_EFFECT_COLUMNS))

    def save(self, path: str | Path) -> None:
        """Write the fit to a folder: a specification in JSON and the draws in Parquet; no customers."""
        from lifeworth.model.store import save_fit

        save_fit(self, path)

    def _in_given_order(self, given: Any, rfm: RFM, values: Array) -> Array:
        """Values of the customers of `rfm`, in the order of the table from which `_rfm` was built."""
        if given is rfm or rfm.row_order is None:
            return values
        return np.asarray(values[np.argsort(rfm.row_order)])


class PurchaseFit(Fit):
    """A fitted model of purchases. Methods answer per customer, in the order of `rfm`.

    An RFM table is in the order of customer_id; another table with its columns keeps the order of its rows.

    A fit that failed its diagnostics predicts nothing (FitError) unless told to, with `force=True`.
    """

    _elsewhere = migration_hints.PURCHASE_FIT

    def _predictions(self, rfm: RFM, horizon: Horizon) -> dict[str, Array]:
        return {
            "probability_alive": self.probability_alive(rfm, draws=True),
            "expected_purchases": self.expected_purchases(rfm, horizon, draws=True),
        }

    def _interval(self, horizon: Horizon, rfm: RFM | None = None) -> tuple[float, float]:
        """When the horizon begins, and its length."""
        assert self.time_unit is not None
        end, period = (None, None) if rfm is None else (rfm.observation_end, rfm.period)
        return horizon_interval(horizon, self.time_unit, end, period)

    def _of_new(self, covariates: Mapping[str, Any] | None) -> Posterior:
        """The posterior of a new customer with these covariates."""
        if covariates is None:
            return self.posterior
        return self.posterior.on(new_customers(self.time_unit, [covariates]))

    def _length(self, horizon: Duration, rfm: RFM | None = None) -> float:
        assert self.time_unit is not None
        end, period = (None, None) if rfm is None else (rfm.observation_end, rfm.period)
        return horizon_length(horizon, self.time_unit, end, period=period)

    @helpful
    def probability_alive(
        self, rfm: RFM, draws: bool = False, horizon: Duration | None = None, *, force: bool = False
    ) -> Array:
        """P(still a customer): (customers,) means or, with draws=True, (customers, draws).

        Parameters
        ----------
        rfm : RFM table in the fit's time unit.
        draws : give one probability per posterior draw.
        horizon : at its end, such as "12M"; None: at the end of observation.

        Source: Fader, Hardie & Lee (2008), "Computing P(alive) using the BG/NBD model", note 021.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> round(float(fit.probability_alive(calibration)[0]), 4)  # customer 1: x = 2, t_x = 30.43, T = 38.86
        0.7266
        >>> round(float(fit.probability_alive(calibration, horizon="39W")[0]), 4)
        0.5671
        """
        self.check(force)
        table = self._rfm(rfm)
        after = 0.0 if horizon is None else self._length(horizon, table)
        return self._in_given_order(rfm, table, predict.probability_alive(self.posterior, table, draws, after))

    @helpful
    def expected_purchases(self, rfm: RFM, horizon: Horizon, draws: bool = False, *, force: bool = False) -> Array:
        """Expected purchases within the horizon: (customers,) means or, with draws=True, (customers, draws).

        Parameters
        ----------
        rfm : RFM table in the fit's time unit.
        horizon : "39W", "12M", "365D", or a number of time units, from the end of observation on; or a pair of
            them, ("13W", "26W"): when to begin and when to end. No difference of two expectations is taken, so
            that short intervals far away keep their digits.
        draws : give one expectation per posterior draw; memory is customers x draws x 8 bytes.
        force : predict from a fit that failed its diagnostics.

        Source: Fader, Hardie & Lee (2005), eq. (10), in a form without its pole at a = 1.

        Raises
        ------
        UsageError : a horizon that is not a duration, or a table in another time unit.
        FitError : the fit failed its diagnostics.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> round(float(fit.expected_purchases(calibration, "39W")[0]), 3)
        1.226
        >>> round(float(fit.expected_purchases(calibration, ("13W", "39W"))[0]), 3)
        0.769
        """
        self.check(force)
        table = self._rfm(rfm)
        start, length = self._interval(horizon, table)
        values = predict.expected_purchases(self.posterior, table, length, draws, start)
        return self._in_given_order(rfm, table, values)

    @helpful
    def probability_no_purchase(self, rfm: RFM, horizon: Horizon, draws: bool = False, *, force: bool = False) -> Array:
        """P(no purchase within the horizon): (customers,) means or, with draws=True, (customers, draws).

        Arguments as for `expected_purchases`: of an interval, too. In BG/NBD a customer without a repeat purchase
        has not had an occasion to drop out, and is alive.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> round(float(fit.probability_no_purchase(calibration, "39W")[0]), 3)
        0.445
        >>> round(float(fit.probability_no_purchase(calibration, ("13W", "26W"))[0]), 3)
        0.713
        """
        self.check(force)
        table = self._rfm(rfm)
        start, length = self._interval(horizon, table)
        values = predict.probability_no_purchase(self.posterior, table, length, draws, start)
        return self._in_given_order(rfm, table, values)

    @helpful
    def purchase_pmf(self, rfm: RFM, horizon: Horizon, max_purchases: int, *, force: bool = False) -> Array:
        """P(0), ..., P(max_purchases) purchases within the horizon: (customers, max_purchases + 1) means.

        `rfm` and `horizon` as for `expected_purchases`. For BG/NBD and MBG/NBD an interval that begins later
        takes an integral for each customer and draw, some hundred times the time.
        """
        self.check(force)
        table = self._rfm(rfm)
        start, length = self._interval(horizon, table)
        values = predict.purchase_pmf(self.posterior, table, length, max_purchases, start)
        return self._in_given_order(rfm, table, values)

    @helpful
    def expected_purchases_new_customer(
        self,
        horizon: Horizon,
        draws: bool = False,
        *,
        covariates: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> Array:
        """Expected repeat purchases of a new customer within the horizon of the first: (1,) mean or (1, draws).

        Parameters
        ----------
        horizon : "39W", "365D", or a number of time units, from the first purchase on; or a pair of them: ages at
            which to begin and to end. Months and years are mean ones.
        draws : give one expectation per posterior draw.
        covariates : of the customer, such as {"channel": "web"}, where the fit depends on them.

        Examples
        --------
        >>> import lifeworth as lw
        >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> round(float(fit.expected_purchases_new_customer("52W")[0]), 3)
        1.446
        >>> round(float(fit.expected_purchases_new_customer(("52W", "104W"))[0]), 3)
        0.757
        """
        self.check(force)
        start, length = self._interval(horizon)
        return predict.expected_purchases_new_customer(self._of_new(covariates), np.array([length]), draws, start)

    def probability_alive_new_customer(
        self,
        horizon: Duration,
        draws: bool = False,
        *,
        covariates: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> Array:
        """P(a new customer is still one at the end of the horizon): (1,) mean or (1, draws)."""
        self.check(force)
        return predict.probability_alive_new_customer(self._of_new(covariates), self._length(horizon), draws)

    def probability_no_purchase_new_customer(
        self,
        horizon: Horizon,
        draws: bool = False,
        *,
        covariates: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> Array:
        """P(a new customer does not buy again within the horizon): (1,) mean or (1, draws).

        Arguments as for `expected_purchases_new_customer`.
        """
        self.check(force)
        start, length = self._interval(horizon)
        return predict.probability_no_purchase_new_customer(self._of_new(covariates), length, draws, start)

    def purchase_pmf_new_customer(
        self,
        horizon: Horizon,
        max_purchases: int,
        *,
        covariates: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> Array:
        """P(0), ..., P(max_purchases) repeat purchases of a new customer: (1, max_purchases + 1) means.

        `horizon` as for `expected_purchases_new_customer`.
        Source: Fader, Hardie & Lee (2005), eq. (8).

        Examples
        --------
        >>> import lifeworth as lw
        >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
        >>> fit.purchase_pmf_new_customer("39W", 2).round(4)
        array([[0.5738, 0.1994, 0.0854]])
        """
        self.check(force)
        start, length = self._interval(horizon)
        return predict.purchase_pmf_new_customer(self._of_new(covariates), length, max_purchases, start)


class SpendFit(Fit):
    """A fitted model of spend per purchase; one that failed its diagnostics predicts only with `force=True`."""

    _elsewhere = migration_hints.SPEND_FIT

    def _predictions(self, rfm: RFM, horizon: Horizon) -> dict[str, Array]:
        return {"expected_spend": self.expected_spend(rfm.take(SPEND.mask(rfm)), draws=True)}

    @helpful
    def expected_spend(self, rfm: RFM, draws: bool = False, *, force: bool = False) -> Array:
        """Expected spend per future purchase: (customers,) means or, with draws=True, (customers, draws).

        A customer without a repeat purchase is given the population's mean, p v / (q - 1).
        Source: Fader & Hardie (2013), note 025, eq. (5).

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> fit = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
        >>> round(float(fit.expected_spend(calibration)[0]), 2)  # customer 1 spent 22.35 in two repeat purchases
        24.66
        """
        self.check(force)
        table = self._rfm(rfm)
        return self._in_given_order(rfm, table, predict.expected_spend(self.posterior, table, draws))


def new_customers(time_unit: TimeUnit | None, covariates: Sequence[Mapping[str, Any]]) -> RFM:
    """Build an RFM table of customers who have just made their first purchase, with these covariates."""
    n = len(covariates)
    nothing = np.zeros(n)
    return RFM(
        pd.Index(["a new customer", *(f"a new customer {k}" for k in range(1, n))]),
        np.zeros(n, dtype=np.int64),
        nothing,
        nothing,
        nothing,
        past_spend=nothing,
        time_unit=time_unit or "D",
        covariates=pd.DataFrame(list(covariates)) if any(covariates) else None,
    )


_FIT_CLASSES: dict[str, type[Fit]] = {RECENCY_FREQUENCY.name: PurchaseFit, SPEND.name: SpendFit}


def fit_class(family: Family) -> type[Fit]:
    """The class of fits of a family: by what its likelihood sees."""
    return _FIT_CLASSES.get(family.statistic.name, Fit)


def as_fit(data: FitData) -> Fit:
    """The fit with this content, of the class of its family."""
    return fit_class(data.family)(data.posterior, data.diagnostics, data.origin, data.samples, data.sample_stats)
