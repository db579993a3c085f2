"""Customer lifetime value: a model of purchases and a model of spend together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lifeworth import migration_hints
from lifeworth.display import cards
from lifeworth.display.progress import Progress, Report, watched
from lifeworth.errors import UsageError
from lifeworth.migration_hints import Answers, described, helpful
from lifeworth.model import score_file, store
from lifeworth.model.fit import PurchaseFit, SpendFit, new_customers
from lifeworth.model.models import BetaGeo, GammaGamma, PurchaseModel, SpendModel
from lifeworth.model.recalibration import Calibration, Teacher
from lifeworth.model.valuation import value_customers
from lifeworth.rfm import RFM
from lifeworth.value import PerCustomer, Terms, Totals, Uncertainty, predict_value


@dataclass(frozen=True, eq=False)
class CLV(Answers):
    """A fitted model of purchases, with a fitted model of spend (None: only purchases).

    Attributes
    ----------
    purchases : fit of `BetaGeo`, `ModifiedBetaGeo` or `ParetoNBD`.
    spend : fit of `GammaGamma`, or None.
    calibration : the recalibration made by `calibrate`; None: intervals are the model's own.

    Examples
    --------
    >>> import lifeworth as lw
    >>> purchases = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
    >>> lw.CLV(purchases, lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})).verdict
    'ok'
    """

    _elsewhere = migration_hints.CLV

    purchases: PurchaseFit
    spend: SpendFit | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.purchases, PurchaseFit):
            raise UsageError(
                "purchases must be a fit of a purchase model, such as BetaGeo().fit(rfm), and not "
                f"{described(self.purchases)}."
            )
        if self.spend is not None and not isinstance(self.spend, SpendFit):
            raise UsageError(
                f"spend must be a fit of a spend model, such as GammaGamma().fit(rfm), and not {described(self.spend)}."
            )

    def __repr__(self) -> str:
        learned = "" if self.calibration is None else f", {self.calibration!r}"
        return f"CLV({self.purchases!r}, {self.spend!r}{learned})"

    def _repr_html_(self) -> str:
        return cards.show(self)

    @property
    def verdict(self) -> str:
        """The worse of the two fits' verdicts."""
        verdicts = [self.purchases.diagnostics.verdict]
        if self.spend is not None:
            verdicts.append(self.spend.diagnostics.verdict)
        return next(v for v in ("fail", "warn", "ok") if v in verdicts)

    @helpful
    def predict(
        self,
        rfm: RFM,
        horizon: str | float,
        discount_rate: float = 0.0,
        margin: PerCustomer = 1.0,
        interval: float = 0.9,
        uncertainty: Uncertainty | None = "customer",
        seed: int = 0,
        force: bool = False,
        progress: Progress | None = None,
        *,
        cost_per_order: PerCustomer = 0.0,
        cost_per_active_year: PerCustomer = 0.0,
        acquisition_cost: PerCustomer | None = None,
        inflation: float = 0.0,
    ) -> pd.DataFrame:
        """Value every customer over the horizon that follows the end of observation.

        Parameters
        ----------
        rfm : RFM table, in the time unit of the fit; or another table with its columns, or a path to one, which is
            refused if it says that its units, or its period of purchases, are not those of the fit.
        horizon : "39W", "12M", "365D", a number of time units, or "forever", which needs a discount rate.
        discount_rate : effective, per year; purchases are discounted to the end of observation,
            exactly in time.
        margin : share of spend that is value. One number, or one for each customer: a Series (or dictionary) by
            customer_id, or an array in the order of `rfm`; so are the costs. An array is refused where the RFM table
            was made of rows in another order than that of customer_id.
        interval : probability that intervals hold.
        uncertainty : "customer": what each customer will really do (posterior predictive); "mean":
            only how sure we are of the expectation; None: expectations alone.
        seed : of the random draws. They belong to the customer's id: row order and the company of
            other customers change nothing.
        force : predict from a fit that failed its diagnostics.
        progress : True shows a bar, False none; default, one in notebooks, for what takes more than a second. Or a
            function, called with (what, share done) now and then.
        cost_per_order : money, subtracted from the value of every future purchase.
        cost_per_active_year : money for every year in which a customer is active, subtracted continuously.
        acquisition_cost : money that each customer has cost; adds the columns past_value, net_clv,
            probability_profitable (that past and future value exceed the cost) and ltv_cac.
        inflation : effective, per year: spend and costs grow by it.

        Returns
        -------
        Frame, one row per customer in the order of `rfm`: customer_id, probability_alive,
        expected_purchases (repeat purchases in (end, end + horizon]), expected_spend (per purchase),
        clv, and clv_lower, clv_upper, purchases_lower, purchases_upper unless `uncertainty` is None; last
        value_at_risk, clv times the probability that the customer has already dropped out.
        Without a model of spend, the money columns are left out.
        After `calibrate`, with uncertainty="customer", the ends of intervals are the recalibrated ones.

        Raises
        ------
        UsageError : a horizon, rate, margin or interval that makes no sense, or units that differ.
        FitError : the fit failed its diagnostics.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> purchases = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
        >>> clv = lw.CLV(purchases, lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44}))
        >>> told = clv.predict(calibration, "39W", uncertainty=None)
        >>> told[["customer_id", "probability_alive", "clv", "value_at_risk"]].round(2).head(2)
           customer_id  probability_alive    clv  value_at_risk
        0            1               0.73  30.24           8.27
        1            2               0.21   3.85           3.03
        """
        return self.predict_both(
            rfm,
            horizon,
            discount_rate,
            margin,
            interval,
            uncertainty,
            seed,
            force,
            progress,
            cost_per_order=cost_per_order,
            cost_per_active_year=cost_per_active_year,
            acquisition_cost=acquisition_cost,
            inflation=inflation,
        )[0]

    @helpful
    def predict_total(
        self,
        rfm: RFM,
        horizon: str | float,
        discount_rate: float = 0.0,
        margin: PerCustomer = 1.0,
        interval: float = 0.9,
        uncertainty: Uncertainty = "customer",
        seed: int = 0,
        force: bool = False,
        progress: Progress | None = None,
        *,
        cost_per_order: PerCustomer = 0.0,
        cost_per_active_year: PerCustomer = 0.0,
        inflation: float = 0.0,
        by: Any = None,
        period: str | None = None,
    ) -> Totals:
        """What all these customers will do together; other arguments as in `predict`.

        Parameters
        ----------
        by : a group for each customer (a Series by customer_id, or an array in the order of `rfm`, as `margin` in
            `predict`): totals of each.
        period : tell the horizon's periods apart, such as "M": `cash_flow()` and `payback()` of the result use them.

        Returns
        -------
        Totals: draws of the portfolio's purchases and value; `to_pandas()` gives expectation and interval.

        Examples
        --------
        >>> import lifeworth as lw
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> purchases = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
        >>> clv = lw.CLV(purchases, lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44}))
        >>> clv.predict_total(calibration, "3M", period="M", uncertainty="mean").cash_flow()["value"].round(0).to_list()
        [8195.0, 7491.0, 7346.0]
        """
        totals = self.predict_both(
            rfm,
            horizon,
            discount_rate,
            margin,
            interval,
            uncertainty,
            seed,
            force,
            progress,
            cost_per_order=cost_per_order,
            cost_per_active_year=cost_per_active_year,
            inflation=inflation,
            by=by,
            period=period,
        )[1]
        if totals is None:
            raise UsageError(
                'predict_total needs uncertainty="customer" or "mean", because totals are computed from draws.'
            )
        return totals

    def predict_both(
        self,
        rfm: RFM,
        horizon: str | float,
        discount_rate: float = 0.0,
        margin: PerCustomer = 1.0,
        interval: float = 0.9,
        uncertainty: Uncertainty | None = "customer",
        seed: int = 0,
        force: bool = False,
        progress: Progress | None = None,
        *,
        cost_per_order: PerCustomer = 0.0,
        cost_per_active_year: PerCustomer = 0.0,
        acquisition_cost: PerCustomer | None = None,
        inflation: float = 0.0,
        by: Any = None,
        period: str | None = None,
    ) -> tuple[pd.DataFrame, Totals | None]:
        """`predict` and `predict_total` in one pass, by the same draws; arguments as in `predict`.

        Returns
        -------
        frame, totals : the second is None where `uncertainty` is None.
        """
        terms = Terms(
            horizon,
            discount_rate,
            margin,
            cost_per_order,
            cost_per_active_year,
            acquisition_cost,
            inflation,
            interval,
            uncertainty,
            seed,
            period,
        )
        return value_customers(self.purchases, self.spend, self.calibration, rfm, terms, by, force, progress)

    def calibrate(self, backtest: Teacher, method: str | None = None) -> CLV:
        """Learn from past cut-offs how far expectations were off, and how wide intervals have to be.

        `predict`, `predict_total` and `score` then give recalibrated expectations and, where uncertainty is
        "customer", intervals. Probabilities and `new_customer` stay what they are.

        Expectations are multiplied by one factor for all customers (`calibration.shifts`), so that they still sum to
        the total: the mean log error of past totals, shrunk by n / (n + 1) for n windows that do not overlap, and
        by how much errors differ. Errors of the same sign are mostly removed; where signs alternate the factor is 1.

        Ends of customers' intervals are other quantiles of the same futures: those that held at past cut-offs as often
        as is asked for now, by frequency. Counts are whole, so that intervals may hold more often, and none is wider
        than all futures. Totals get a random factor, common to all customers, for what the shift leaves of past
        errors: intervals are the wider, the fewer windows do not overlap.

        Parameters
        ----------
        backtest : a `Backtest` on earlier cut-offs of the same customers, with the horizon that is to be
            predicted; several cut-offs whose windows do not overlap teach most.
        method : the name of this model in it; default: the only one of its family.

        Returns
        -------
        CLV with the same fits; `calibration.reasons` says what could not be learned, such as too short a history.
        It is saved with the model. `backtest.held_out_coverage()` shows raw and calibrated intervals at
        cut-offs that were not learned from.

        Raises
        ------
        UsageError : no such model in the backtest, or another time unit.
        DataError : the backtest teaches nothing.

        References
        ----------
        Customers: Chernozhukov, Wüthrich & Zhu (2021), "Distributional conformal prediction", PNAS 118(48); by
        groups, Vovk, Gammerman & Shafer (2005), "Algorithmic learning in a random world", section 4.5. Shift: Efron &
        Morris (1973), "Stein's estimation rule and its competitors", JASA 68(341). Totals: a
        normal random effect of the window on the log of the total, with the half-Cauchy prior of Gelman (2006),
        "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1(3), its likelihood
        tempered where windows overlap.

        Examples
        --------
        >>> import lifeworth as lw
        >>> data = lw.load_cdnow(sample=True)
        >>> bt = lw.backtest(data, cutoffs=4, horizon="6W", baselines=[], method="map", bootstrap=0)
        >>> clv = lw.fit_clv(lw.rfm_summary(data), method="map").calibrate(bt)
        >>> clv.calibration.windows
        4
        """
        learned = backtest.learn_calibration(method, self.purchases.family.name)
        if learned.time_unit != self.purchases.time_unit:
            raise UsageError(
                f'The backtest counts time in "{learned.time_unit}" and this model in "{self.purchases.time_unit}": '
                f'make the backtest with time_unit="{self.purchases.time_unit}".'
            )
        return replace(self, calibration=learned)

    def score(
        self,
        source: Any,
        out: str | Path,
        horizon: str | float,
        *,
        rows_per_block: int | None = None,
        force: bool = False,
        progress: Progress | None = None,
        escape_formulas: bool = False,
        **terms: Any,
    ) -> score_file.Scored:
        """Predict the value of every customer of a table that need not fit in memory, and write the scores to a file.

        Parameters
        ----------
        source : an RFM table: a path (Parquet or CSV; a file, a folder or a pattern), an `RFM`, or an iterable of
            either or of frames, a block at a time.
        out : a file that ends in .parquet or .csv. It appears whole, or not at all.
        horizon, terms : as in `predict`; margin, cost_per_order and acquisition_cost may be names of columns.
        rows_per_block : customers that are scored at a time, about a kilobyte each; default 250,000.
        force : predict from a fit that failed its diagnostics.
        progress : as in `predict`; updated after every block.
        escape_formulas : in CSV, put an apostrophe before ids that begin with = + - @, a tab or a carriage return,
            which spreadsheets take for formulas. lifeworth reads them as they were. Default: a warning.

        Returns
        -------
        Scored: path, customers, and totals, as of `predict_total`. A customer's numbers are those of `predict`, in
        the order of customer_id within each block.

        Examples
        --------
        >>> import lifeworth as lw, pathlib, tempfile
        >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
        >>> purchases = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
        >>> out = pathlib.Path(tempfile.mkdtemp()) / "scores.parquet"
        >>> lw.CLV(purchases).score(calibration, out, "39W", uncertainty=None).customers
        2357
        """
        self.purchases.check(force)
        if self.spend is not None:
            self.spend.check(force)
        with watched(progress) as report:
            return score_file.score(
                self.purchases,
                self.predict_both,
                source,
                out,
                rows_per_block,
                report,
                escape_formulas,
                horizon=horizon,
                force=force,
                **terms,
            )

    @helpful
    def new_customer(
        self,
        horizon: str | float | Sequence[str | float],
        discount_rate: float = 0.0,
        margin: float = 1.0,
        interval: float = 0.9,
        uncertainty: Uncertainty | None = "customer",
        seed: int = 0,
        force: bool = False,
        *,
        cost_per_order: float = 0.0,
        cost_per_active_year: float = 0.0,
        acquisition_cost: float | None = None,
        inflation: float = 0.0,
        first_purchase: bool = True,
        futures: int = 10_000,
        covariates: Mapping[str, Any] | pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Predict the value of a customer who is acquired now.

        Parameters
        ----------
        horizon : one, or several: each gets a row. Other arguments as in `predict`.
        first_purchase : whether the purchase the customer is won with counts. The model knows repeat purchases
            only, and takes the first for one like them: look whether first orders are larger or smaller.
        futures : number of simulated futures for an interval.
        covariates : of the customer, such as {"channel": "web"}, where the model depends on them; or a frame, with a
            row for each kind of customer, whose columns then stand in the index before the horizon.

        Returns
        -------
        Frame indexed by horizon: expected_purchases (after the first), expected_spend (per purchase),
        first_value (of the first purchase; 0 without it), repeat_value, clv (their sum), clv_lower, clv_upper,
        purchases_lower, purchases_upper; with an acquisition cost net_clv, probability_profitable (read over
        rising horizons: the chance to have been paid back by then) and ltv_cac. `clv` is also the most one may pay
        for such a customer without losing money on average.

        Examples
        --------
        >>> import lifeworth as lw
        >>> purchases = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
        >>> clv = lw.CLV(purchases, lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44}))
        >>> clv.new_customer(["6M", "12M"], margin=0.3, uncertainty=None)["clv"].round(2).to_dict()
        {'6M': 20.13, '12M': 25.88}
        """
        if self.spend is None:
            raise UsageError("Without a model of spend a new customer has no value: expected_purchases_new_customer.")
        self.purchases.check(force)
        self.spend.check(force)
        if covariates is None:
            self.purchases.posterior.require_table()
            if self.spend.posterior.covariates != ("frequency",):
                self.spend.posterior.require_table()
        if isinstance(covariates, pd.DataFrame):
            kinds = covariates.to_dict("records")
            found = {
                tuple(kind.values()): self.new_customer(
                    *(horizon, discount_rate, margin, interval, uncertainty, seed, force),
                    cost_per_order=cost_per_order,
                    cost_per_active_year=cost_per_active_year,
                    acquisition_cost=acquisition_cost,
                    inflation=inflation,
                    first_purchase=first_purchase,
                    futures=futures,
                    covariates={str(name): value for name, value in kind.items()},
                )
                for kind in kinds
            }
            return pd.concat(found, names=[*map(str, covariates.columns), "horizon"])
        won = new_customers(self.purchases.time_unit, [covariates or {}])
        several = isinstance(horizon, Iterable) and not isinstance(horizon, str)
        horizons: list[Any] = list(horizon) if several else [horizon]  # type: ignore[arg-type]
        rows = []
        for one in horizons:
            terms = Terms(
                one,
                discount_rate,
                margin,
                cost_per_order,
                cost_per_active_year,
                acquisition_cost,
                inflation,
                interval,
                uncertainty,
                seed,
                at_once=int(bool(first_purchase)),
                futures=futures,
            )
            frame, _ = predict_value(self.purchases.posterior, self.spend.posterior, won, terms)
            row = frame.drop(columns=["customer_id", "probability_alive", "past_value"], errors="ignore").iloc[0]
            first = margin * row["expected_spend"] - cost_per_order if first_purchase else 0.0
            values = row.to_dict()
            at = list(values).index("clv")
            parts = {"first_value": first, "repeat_value": values["clv"] - first}
            items = list(values.items())
            rows.append(dict(items[:at]) | parts | dict(items[at:]))
        return pd.DataFrame(rows, index=pd.Index(horizons, name="horizon"))

    def save(self, path: str | Path) -> None:
        """Write both fits, and what `calibrate` has learned, to a folder; `lifeworth.load` reads it."""
        store.save_clv({"purchases": self.purchases, "spend": self.spend}, self.calibration, path)


@helpful
def fit_clv(
    rfm: RFM,
    purchases: PurchaseModel | None = None,
    spend: SpendModel | None = None,
    *,
    method: str = "auto",
    draws: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> CLV:
    """Fit a model of purchases (default BG/NBD) and a model of spend (default Gamma-Gamma).

    An RFM table without amounts gives only a model of purchases. Other arguments as in `BetaGeo().fit`.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration, holdout = lw.train_test_split(lw.load_cdnow(sample=True), train_end="1997-09-30")
    >>> clv = lw.fit_clv(calibration, lw.BetaGeo(priors="flat"), lw.GammaGamma(priors="flat"), method="map")
    >>> round(float(clv.purchases.draws["r"][0]), 3), round(float(clv.spend.draws["p"][0]), 2)
    (0.243, 6.25)
    """
    purchase_model = BetaGeo() if purchases is None else purchases
    with watched(progress) as report:

        def named(name: str) -> Report | None:
            return None if report is None else lambda what, share: report(f"{name}: {what}", share)

        fitted = purchase_model.fit(rfm, method, draws, seed, named(purchase_model.family.label))
        if rfm.monetary_value is None and spend is None:
            return CLV(fitted)
        spend_model = GammaGamma() if spend is None else spend
        return CLV(fitted, spend_model.fit(rfm, method, draws, seed, named(spend_model.family.label)))
