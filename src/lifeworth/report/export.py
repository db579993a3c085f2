"""All results of an appraisal, in a folder: tables, the model, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lifeworth.atomic_files import replacing
from lifeworth.report.appraisal import appraisal_report
from lifeworth.report.page import write_report
from lifeworth.tables import check_output

if TYPE_CHECKING:
    from lifeworth.evaluate.appraisal import Appraisal

Written = list[tuple[Path, str]]


# Files that `write_results` may write, in addition to the folder of the model.
_FILES = (
    *("summary.csv", "scores.csv", "totals.csv", "calibration.csv", "coverage.csv", "parameters.csv"),
    *("predictions.parquet", "comparison.parquet", "customers.parquet", "earned.csv", "report.html"),
)


def check_results(out: Path, *sources: Any, name: str = "") -> None:
    """Raise a `UsageError` if `write_results` would overwrite an input, or write into a folder of one."""
    for file in _FILES:
        check_output(out / file, *sources, name=name)
    check_output(out / "model", *sources, folder=True, name=name)


def write_results(found: Appraisal, out: Path, title: str, about: str = "") -> Written:
    """Write the results into a folder; return their paths and what they are.

    Parameters
    ----------
    out : the folder; files of an earlier run in it are replaced.
    title, about : the heading of the page, and a sentence below it; default: how many customers, and when.

    Raises
    ------
    SourceError : a file cannot be written, or `out` has a folder "model" that holds something else.
    UsageError : a file is one of those that the transactions were read from, or lies among them.
    """
    check_results(out, found.rfm.read_from)
    bt, comparison = found.backtest, found.comparison
    summaries = {target: bt.summary(target) for target in bt.scores["target"].unique()}
    files: list[tuple[str, pd.DataFrame, str]] = [
        (
            "summary.csv",
            pd.concat(summaries, names=["target", "method"]).reset_index(),
            "means of the scores of models and baselines over the cut-offs",
        ),
        ("scores.csv", bt.scores, "every score at every cut-off, with its interval"),
        ("totals.csv", bt.totals, "predicted and actual totals of all customers"),
        ("calibration.csv", bt.groups, "predicted and actual by frequency, recency and cohort"),
        (
            "coverage.csv",
            found.coverage,
            "coverage of raw and recalibrated intervals on data not used for recalibration",
        ),
        ("parameters.csv", bt.parameters, "drift of the models' parameters"),
        ("predictions.parquet", bt.predictions, "every customer's predicted and actual values"),
        ("comparison.parquet", comparison.customers, "historical and predictive CLV of each customer"),
        ("customers.parquet", found.customers, "each customer's past value, predicted value and segment"),
    ]
    if comparison.earned is not None:
        files.append(("earned.csv", comparison.earned, "what each ranking would have earned"))
    written: Written = []
    for name, frame, what in files:
        with replacing(out / name) as temporary:
            if name.endswith(".csv"):
                frame.to_csv(temporary, index=False)
            else:
                frame.to_parquet(temporary, index=False)
        written.append((out / name, what))
    found.clv.save(out / "model")
    written.append((out / "model", "the recalibrated model, for lifeworth.load and lifeworth predict"))
    write_report(appraisal_report(found, title, about), out / "report.html")
    written.append((out / "report.html", "all results on one page: open it in a browser"))
    return written
