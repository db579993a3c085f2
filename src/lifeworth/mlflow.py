"""Fits, their diagnostics and the model itself, and scores of backtests, in MLflow: `pip install "lifeworth[mlflow]"`.

MLflow is loaded when something is logged, and not before.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lifeworth.errors import SourceError, UsageError
from lifeworth.evaluate import Backtest
from lifeworth.model import CLV, Fit, load

if TYPE_CHECKING:
    from lifeworth.rfm import RFM

# What MLflow lets a metric be named by.
_STRANGE = re.compile(r"[^\w\-. /]")
_FIGURES = ("k_hat", "ess", "r_hat", "divergences", "bfmi")


def log_to_mlflow(result: Fit | CLV | Backtest, name: str | None = None, *, rfm: RFM | None = None) -> str:
    """Log a fit, a model of purchases with one of spend, or a backtest to MLflow: into the run at work, or a new one.

    Parameters
    ----------
    result : what to log. Of a `CLV` the names below begin with "purchases." or "spend.".
    name : folder of the run's artifacts. "model", by default, takes the saved model, which `load_from_mlflow` reads;
        "backtest" the tables of a backtest.
    rfm : the table of the fit: adds the metrics elpd and elpd_se of leave-one-out, and the account of its rows.

    Returns
    -------
    The id of the run. It has params (family, method, draws, customers, time_unit, period, observation_end,
    currency, prior.<variable>), metrics (<parameter>.mean, .sd, .lower and .upper of the 90 % interval, and the
    figures of the diagnostics), the tags lifeworth.verdict, lifeworth.reasons and lifeworth.version, and the
    artifacts `name` (no customers inside), card.html and posterior_<family>.png.

    Of a backtest: the params backtest.horizon, .cutoffs, .methods and .interval; each score as the metric
    <target>.<method>.<score>, its mean over the cut-offs, and <target>.<method>.<score>.by_cutoff, with a step for each
    (what cannot be said is left out); and in `name` summary.csv, scores.csv, totals.csv, parameters.csv, card.html and
    pictures of scores and totals. No customers are in any of them.

    Raises
    ------
    UsageError : MLflow is not installed, or it is nothing that can be logged.

    Examples
    --------
    >>> import lifeworth as lw, mlflow, pathlib, tempfile
    >>> store = pathlib.Path(tempfile.mkdtemp())
    >>> mlflow.set_tracking_uri(f"sqlite:///{store / 'mlflow.db'}")
    >>> experiment = mlflow.create_experiment("clv", artifact_location=(store / "artifacts").as_uri())
    >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    >>> with mlflow.start_run(experiment_id=experiment):
    ...     run_id = lw.log_to_mlflow(fit)
    >>> mlflow.get_run(run_id).data.metrics["r.mean"]
    0.243
    """
    if not isinstance(result, (Fit, CLV, Backtest)):
        raise UsageError(f"A fit, a CLV or a backtest can be logged to MLflow, not {type(result).__name__}.")
    if isinstance(result, Backtest) and rfm is not None:
        raise UsageError("rfm is the table of a fit: with a backtest it would change nothing.")
    mlflow = _mlflow()
    if isinstance(result, Backtest):
        with _run(mlflow) as run:
            _log_backtest(mlflow, result, name or "backtest")
            return str(run.info.run_id)
    parts = {"": result} if isinstance(result, Fit) else {"purchases.": result.purchases, "spend.": result.spend}
    fits = {prefix: fit for prefix, fit in parts.items() if fit is not None}
    with _run(mlflow) as run, tempfile.TemporaryDirectory() as folder:
        for prefix, fit in fits.items():
            _log_fit(mlflow, fit, prefix, rfm)
        verdict = result.diagnostics.verdict if isinstance(result, Fit) else result.verdict
        reasons = " ".join(reason for fit in fits.values() for reason in fit.diagnostics.reasons)
        versions = next(iter(fits.values())).origin.versions
        mlflow.set_tags(
            {
                "lifeworth.verdict": verdict,
                "lifeworth.reasons": reasons or "none",
                "lifeworth.version": versions.get("lifeworth", "unknown"),
            }
        )
        if rfm is not None:
            mlflow.log_dict(rfm.audit.to_dict(), "audit.json")
        mlflow.log_text(f'<!doctype html><meta charset="utf-8">{result._repr_html_()}', "card.html")
        saved = Path(folder) / "saved"
        result.save(saved)
        mlflow.log_artifacts(str(saved), name or "model")
        return str(run.info.run_id)


def load_from_mlflow(run_id: str, name: str = "model") -> Fit | CLV:
    """The fit or the CLV that `log_to_mlflow` logged in a run.

    Parameters
    ----------
    run_id : as `log_to_mlflow` gave it.
    name : the artifacts' folder.

    Raises
    ------
    UsageError : MLflow is not installed.
    SourceError : no such run, or nothing of that name in it.

    Examples
    --------
    >>> import lifeworth as lw, mlflow, pathlib, tempfile
    >>> store = pathlib.Path(tempfile.mkdtemp())
    >>> mlflow.set_tracking_uri(f"sqlite:///{store / 'mlflow.db'}")
    >>> experiment = mlflow.create_experiment("clv", artifact_location=(store / "artifacts").as_uri())
    >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    >>> with mlflow.start_run(experiment_id=experiment):
    ...     run_id = lw.log_to_mlflow(fit)
    >>> lw.load_from_mlflow(run_id)
    BG/NBD fit (r = 0.243, alpha = 4.414, a = 0.793, b = 2.426; 1 draw, ok)
    """
    mlflow = _mlflow()
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name, dst_path=folder)
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise SourceError(f"Run {run_id} of MLflow has no {name!r} that could be read: {error}") from error
        return load(path)


def _mlflow() -> Any:
    try:
        import mlflow
        import mlflow.artifacts
    except ImportError as error:
        raise UsageError('MLflow is not installed: pip install "lifeworth[mlflow]".') from error
    return mlflow


@contextmanager
def _run(mlflow: Any) -> Iterator[Any]:
    """The run at work, which stays open; or a new one, which is closed."""
    active = mlflow.active_run()
    if active is not None:
        yield active
    else:
        with mlflow.start_run() as made:
            yield made


def _log_fit(mlflow: Any, fit: Fit, prefix: str, rfm: RFM | None) -> None:
    origin, found = fit.origin, fit.diagnostics
    params: dict[str, Any] = {
        "family": fit.family.name,
        "method": found.method,
        "draws": len(fit.posterior),
        "customers": origin.customers,
        "time_unit": fit.time_unit,
        "period": origin.period,
        "observation_end": None if origin.observation_end is None else origin.observation_end.date().isoformat(),
        "currency": fit.posterior.currency,
    }
    if isinstance(origin.priors, str):
        params["priors"] = origin.priors
    elif origin.priors is not None:
        params |= {f"prior.{name}": str(prior) for name, prior in origin.priors.items()}
    mlflow.log_params({prefix + key: value for key, value in params.items() if value is not None})
    metrics = {key: getattr(found, key) for key in _FIGURES}
    for parameter, draws in fit.draws.items():
        lower, upper = np.quantile(draws, [0.05, 0.95])
        of = {"mean": draws.mean(), "sd": draws.std(), "lower": lower, "upper": upper}
        metrics |= {f"{parameter}.{key}": value for key, value in of.items()}
    if rfm is not None and len(fit.posterior) >= 100:
        loo = fit.loo(rfm)
        metrics |= {"elpd": loo.elpd, "elpd_se": loo.se}
    known = {prefix + key: float(value) for key, value in metrics.items() if value is not None}
    mlflow.log_metrics({key: value for key, value in known.items() if np.isfinite(value)})
    if len(fit.posterior) > 1:
        from lifeworth.plots import figure_of, plot_posterior

        mlflow.log_figure(figure_of(plot_posterior(fit.draws)), f"posterior_{fit.family.name}.png")


def _log_backtest(mlflow: Any, bt: Backtest, name: str) -> None:
    from lifeworth.plots import figure_of

    params = {
        "horizon": bt.horizon,
        "cutoffs": ", ".join(f"{cutoff:%Y-%m-%d}" for cutoff in bt.cutoffs),
        "methods": ", ".join(bt.methods),
        "interval": bt.interval,
    }
    mlflow.log_params({f"backtest.{key}": value for key, value in params.items()})
    scores = bt.scores.dropna(subset="value")
    keys = [scores["target"], scores["method"], scores["metric"]]
    names = [_STRANGE.sub("_", ".".join(map(str, key))) for key in zip(*keys, strict=True)]
    means = scores["value"].groupby(names).mean()
    mlflow.log_metrics({str(key): float(value) for key, value in means.items()})
    for step, cutoff in enumerate(bt.cutoffs):
        there = zip(names, scores["cutoff"], scores["value"], strict=True)
        mlflow.log_metrics(
            {f"{key}.by_cutoff": float(value) for key, when, value in there if when == cutoff}, step=step
        )
    targets = list(dict.fromkeys(bt.scores["target"]))
    summary = pd.concat({target: bt.summary(target) for target in targets}, names=["target", "method"]).reset_index()
    tables = {"summary": summary, "scores": bt.scores, "totals": bt.totals, "parameters": bt.parameters}
    for what, table in tables.items():
        mlflow.log_text(table.to_csv(index=False), f"{name}/{what}.csv")
    mlflow.log_text(f'<!doctype html><meta charset="utf-8">{bt._repr_html_()}', f"{name}/card.html")
    for target in targets:
        mlflow.log_figure(figure_of(bt.plot_scores(target=target)), f"{name}/scores_{target}.png")
    for target in dict.fromkeys(bt.totals["target"]):
        mlflow.log_figure(figure_of(bt.plot_totals(target)), f"{name}/totals_{target}.png")
