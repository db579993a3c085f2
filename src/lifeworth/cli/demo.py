"""The demo: CDNOW from purchases to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console

from lifeworth.cli import terminal
from lifeworth.datasets import load_cdnow
from lifeworth.evaluate.appraisal import Appraisal, appraise
from lifeworth.families import FAMILIES
from lifeworth.model.store import refuse_to_replace
from lifeworth.report.export import write_results

# Maximum-likelihood estimates on the 1/10 sample, of purchases up to this day: Fader, Hardie & Lee (2005), table 2;
# Fader & Hardie, note 025. The day is one of the demo's cut-offs.
PUBLISHED_AT: Final = pd.Timestamp("1997-09-30")
PUBLISHED: Final = {
    "bg_nbd": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "gamma_gamma": {"p": 6.25, "q": 3.74, "v": 15.44},
}
HORIZON: Final = "13W"
CUTOFFS: Final = 4
ABOUT: Final = (
    "Customers of CDNOW, an online music shop, who first bought in the first quarter of 1997. The models are "
    "fitted at four past dates, predict the 13 weeks after each, and are compared with what happened."
)


def run_demo(out: Path, sample: bool = False, draws: int = 1000, seed: int = 0) -> Appraisal:
    """Value CDNOW's customers, judge models and formulas at past dates, and write tables, a model and a report.

    Parameters
    ----------
    out : folder for the results; files of an earlier run in it are replaced.
    sample : whether to use the published 1/10 sample instead of all customers.
    draws, seed : of the posterior.

    Raises
    ------
    FitError
        If the fit failed its diagnostics; nothing is written.
    """
    refuse_to_replace(out / "model")
    with terminal.progress(terminal.console(stderr=True)) as report:
        found = appraise(
            load_cdnow(sample=sample), HORIZON, CUTOFFS, currency="USD", draws=draws, seed=seed, progress=report
        )
        report("drawing and writing", 0.0)
        about = f"The published 1/10 sample. {ABOUT}" if sample else ABOUT
        written = write_results(found, out, "The value of CDNOW's customers", about)
    screen = terminal.console()
    terminal.show_appraisal(screen, found)
    _show_posterior(screen, found)
    terminal.show_written(screen, written)
    return found


def _show_posterior(screen: Console, found: Appraisal) -> None:
    """Show the posterior at the date of the published parameters beside these."""
    rows = []
    parameters = found.backtest.parameters
    for row in parameters[parameters["cutoff"] == PUBLISHED_AT].to_dict("records"):
        family = found.method if row["parameter"] in PUBLISHED[found.method] else "gamma_gamma"
        name = row["parameter"]
        label = FAMILIES[family].label if name == next(iter(PUBLISHED[family])) else ""
        span = f"{row['lower']:.3f} to {row['upper']:.3f}"
        rows.append([label, name, f"{row['mean']:.3f}", span, f"{PUBLISHED[family][name]:g}"])
    columns = [("", "left"), ("", "left"), ("mean", "right"), ("90 % interval", "left")]
    columns.append(("published, 1/10 sample", "right"))
    screen.print(terminal.table(f"Posterior as of {PUBLISHED_AT:%Y-%m-%d}", columns, rows), "")
