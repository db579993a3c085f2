"""The page of a run: what it read, which model it used, and what it published. It names no customer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from lifeworth.jobs.blocks import block_file
from lifeworth.jobs.models import Models
from lifeworth.periods import UNIT_NAMES
from lifeworth.rfm import RFM

_INTERVAL = 0.9
_RATIOS = ["ratio", "ratio_lower", "ratio_upper"]


def write_page(path: Path, manifest: dict[str, Any], models: Models, rfm: RFM, blocks: Path, count: int) -> Path:
    """Write one self-contained page.

    Parameters
    ----------
    manifest : the manifest of the run, up to what it has published.
    models : the models that customers were scored with.
    blocks, count : where the scores are.
    """
    from lifeworth.report import Picture, ReportContent, write_report

    money = rfm.currency or ""
    pictures = []
    worth = _column(blocks, count, "clv")
    if worth is not None and (worth > 0).any():
        from lifeworth import plots

        pictures.append(
            Picture(
                "Predicted customer lifetime value",
                f"Number of customers by predicted value; the mean is {worth.mean():,.2f} {money}.".strip(),
                plots.figure_of(plots.plot_value_distribution(worth, currency=money)),
                f"Predicted value over {manifest['scores']['horizon']}, by customer.",
            )
        )
    write_report(
        ReportContent(
            title=f"{manifest['job']}, {manifest['run_id']}",
            subtitle=f"{len(rfm):,} customers, observed until {_day(rfm)}.",
            generated=manifest["started"][:10],
            eyebrow="Nightly forecast",
            headlines=_headlines(manifest, rfm, money),
            summary=_summary(manifest),
            comparisons=_comparisons(manifest),
            pictures=pictures,
            tables=[*_tables(manifest), *_effects(models)],
            fits=_fits(models),
            audit=_audit(rfm),
            footer=[
                f"lifeworth {manifest['versions']['lifeworth']}",
                "Record of the run: manifest.json beside this page",
            ],
        ),
        path,
    )
    return path


def _column(blocks: Path, count: int, name: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    if name not in pq.read_schema(block_file(blocks, 0)).names:
        return None
    parts = [pq.read_table(block_file(blocks, number), columns=[name]).column(0).to_numpy() for number in range(count)]
    return np.concatenate(parts)


def _day(rfm: RFM) -> str:
    return "an unknown date" if rfm.observation_end is None else f"{rfm.observation_end:%Y-%m-%d}"


def _headlines(manifest: dict[str, Any], rfm: RFM, money: str) -> list[Any]:
    from lifeworth.report import Headline

    scores = manifest["scores"]
    told = [Headline("customers", f"{len(rfm):,}", f"{int((rfm.frequency > 0).sum()):,} repeat customers")]
    for name, unit in (("purchases", ""), ("value", f", {money}" if money else "")):
        if name in scores["totals"]:
            one = scores["totals"][name]
            span = f"{100 * scores['interval']:g} % interval: {one['lower']:,.0f} to {one['upper']:,.0f}"
            told.append(Headline(f"expected {name} in {scores['horizon']}{unit}", f"{one['expected']:,.0f}", span))
    told.append(Headline("verdict on the model", manifest["model"]["verdict"], manifest["model"]["came"]))
    return told


def _summary(manifest: dict[str, Any]) -> list[str]:
    model, output = manifest["model"], manifest["output"]
    told = [f"{output['rows']:,} scores were written to {output['place']}."]
    if "refused" in model:
        told.append(f"The scores are from the champion, because the new fit did not pass the gate. {model['refused']}")
    if "registered" in model and isinstance(model["registered"], dict):
        told.append(f"The fit is version {model['registered']['version']} of {model['registered']['name']}.")
    return told


def _comparisons(manifest: dict[str, Any]) -> list[Any]:
    from lifeworth.report import Comparison, ComparisonRow

    backtest = manifest["model"].get("backtest")
    if not backtest:
        return []
    rows = []
    for who in ("candidate", "champion"):
        scores = (backtest.get(who) or {}).get("purchases")
        if scores is not None and scores["bias"] is not None:
            note = f"error per customer {scores['mae']:.3f}"
            rows.append(ComparisonRow({"candidate": "this fit"}.get(who, who), 1 + scores["bias"], 1.0, note=note))
    span = f"{backtest['length']:g} {UNIT_NAMES[backtest['time_unit']]}s after {backtest['train_end']}"
    note = (
        "Fitted on the data before, and compared with what happened. The champion may have been fitted on some of it."
    )
    return (
        [Comparison(f"Holdout: the {span}", rows, "Predicted purchases / actual purchases", note, ".1%")]
        if rows
        else []
    )


def _tables(manifest: dict[str, Any]) -> list[Any]:
    from lifeworth.report import Table

    model = manifest["model"]
    tables = []
    if model.get("drift"):
        drift = model["drift"] if model.get("by") else {"": model["drift"]}
        rows = [(f"{name} {p}".strip(), gone) for name, gone_of in drift.items() for p, gone in gone_of.items()]
        tables.append(
            Table(
                "Drift from the champion",
                pd.DataFrame(rows, columns=["parameter", "drift"]),
                {"drift": "+.2f"},
                "How far a parameter's mean has moved, in standard deviations of the difference.",
            )
        )
    if "segments" in model:
        rows = [(name, one.get("pooled_because", "its own fit")) for name, one in model["segments"].items()]
        tables.append(Table(f"Models by {model['by']}", pd.DataFrame(rows, columns=[model["by"], "scored with"])))
    return tables


def _effects(models: Models) -> list[Any]:
    """Effects of covariates as ratios, a table for each fit that has any."""
    from lifeworth.report import Table

    tables = []
    for segment, clv in models:
        for fit in (clv.purchases, clv.spend):
            if fit is None or not fit.posterior.effects:
                continue
            shown = fit.effects(_INTERVAL)[["effect", "term", "ratio_of", *_RATIOS]]
            where = "" if segment is None else f", {models.by} {segment}"
            tables.append(
                Table(
                    f"Effects of covariates: {fit.family.label}{where}",
                    shown,
                    dict.fromkeys(_RATIOS, ".2f"),
                    "What a level, or one unit of a number, multiplies, against the first level of its category.",
                )
            )
    return tables


def _fits(models: Models) -> list[Any]:
    from lifeworth.report import FitTable, Parameter

    tables = []
    for segment, clv in models:
        for fit in (clv.purchases, clv.spend):
            if fit is None:
                continue
            meanings = {p.name: p.meaning for p in fit.family.definitions}
            unit = "money" if fit.time_unit is None else UNIT_NAMES[fit.time_unit] + "s"
            rows = []
            for name, draws in fit.draws.items():
                lower, upper = np.quantile(draws, [(1 - _INTERVAL) / 2, (1 + _INTERVAL) / 2])
                meaning = meanings[name].format(unit=unit)
                rows.append(Parameter(name, draws.mean(), draws.std(), lower, upper, meaning=meaning))
            title = fit.family.label if segment is None else f"{fit.family.label}, {models.by} {segment}"
            verdict, reasons = fit.diagnostics.verdict, fit.diagnostics.reasons
            tables.append(FitTable(title, rows, verdict, reasons, f"Drawn by {fit.diagnostics.how}.", _INTERVAL))
    return tables


def _audit(rfm: RFM) -> Any:
    from lifeworth.report import DataAudit

    audit = rfm.audit
    return DataAudit(audit.rows_in, audit.rows_used, audit.left_out, audit.notes, audit.customers, f"up to {_day(rfm)}")
