"""All that an appraisal has found, in a folder: tables, the model, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lifeworth.files import replacing
from lifeworth.report.appraisal import appraisal_report
from lifeworth.report.page import write_report

if TYPE_CHECKING:
    from lifeworth.evaluate.appraisal import Appraisal

Written = list[tuple[Path, str]]


def write_results(found: Appraisal, out: Path, title: str, about: str = "") -> Written:
    """Write the results into a folder, each file whole; give their paths and what they are.

    Parameters
    ----------
    out : the folder; files of an earlier run in it are replaced.
    title, about : the heading of the page, and a sentence below it; default: how many customers, and when.

    Raises
    ------
    SourceError : a file cannot be written, or `out` has a folder "model" that holds something else.
    """
    bt, comparison = found.backtest, found.comparison
    summaries = {target: bt.summary(target) for target in bt.scores["target"].unique()}
    files: list[tuple[str, pd.DataFrame, str]] = [
        (
            "summary.csv",
            pd.concat(summaries, names=["target", "method"]).reset_index(),
            "models and baselines, their scores' means over the cut-offs",
        ),
        ("scores.csv", bt.scores, "every score at every cut-off, with its interval"),
        ("totals.csv", bt.totals, "what all customers were foretold, and did"),
        ("calibration.csv", bt.groups, "predicted and actual by frequency, recency and cohort"),
        ("coverage.csv", found.coverage, "raw and calibrated intervals on time not learned from"),
        ("parameters.csv", bt.parameters, "how the models' parameters drift"),
        ("predictions.parquet", bt.predictions, "every forecast of a customer beside what happened"),
        ("comparison.parquet", comparison.customers, "historical beside predictive, customer by customer"),
        ("customers.parquet", found.customers, "each customer's past, forecast from now, and segment"),
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
    written.append((out / "model", "the model, calibrated, for lifeworth.load and lifeworth predict"))
    write_report(appraisal_report(found, title, about), out / "report.html")
    written.append((out / "report.html", "all of it on one page: open it in a browser"))
    return written
