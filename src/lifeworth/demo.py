"""The demo: CDNOW from purchases to a report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from lifeworth import terminal
from lifeworth.datasets import load_cdnow
from lifeworth.errors import FitError
from lifeworth.evaluate.evidence import PREDICTIVE, Evidence, weigh_evidence
from lifeworth.files import replacing
from lifeworth.model.store import refuse_to_replace, write_clv
from lifeworth.report import write_report
from lifeworth.report.card import render_card
from lifeworth.report.evidence import Pictures, evidence_pictures, evidence_report

TRAIN_END = "1997-09-30"
# Maximum-likelihood estimates on the 1/10 sample: Fader, Hardie & Lee (2005), table 2; Fader & Hardie, note 025.
PUBLISHED = {
    "bg_nbd": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "gamma_gamma": {"p": 6.25, "q": 3.74, "v": 15.44},
}
ABOUT = (
    "Customers of CDNOW, an online music shop, who first bought in the first quarter of 1997. The models see their "
    "purchases up to 30 September 1997; the 39 weeks to 30 June 1998 are the judge."
)


def run_demo(out: Path, sample: bool = False, draws: int = 1000, seed: int = 0, model: Path | None = None) -> Evidence:
    """Value CDNOW's customers, compare with what they then did, and write tables, pictures, a model and a report.

    Parameters
    ----------
    out : folder for the results; files of an earlier run in it are replaced.
    sample : the published 1/10 sample in place of all customers.
    draws, seed : of the posterior.
    model : folder to write the model to as well.

    Raises
    ------
    FitError : the fit failed its diagnostics; nothing is written.
    """
    screen = terminal.console()
    if model is not None:
        refuse_to_replace(model)
    with terminal.progress(terminal.console(stderr=True)) as report:
        evidence = weigh_evidence(
            load_cdnow(sample=sample), train_end=TRAIN_END, draws=draws, seed=seed, currency="USD", progress=report
        )
        if evidence.clv.verdict == "fail":
            reasons = [*evidence.clv.purchases.diagnostics.reasons]
            reasons += [] if evidence.clv.spend is None else evidence.clv.spend.diagnostics.reasons
            raise FitError(f"The fit failed its diagnostics: {' '.join(reasons)} Nothing was written.")
        report("drawing and writing", 0.0)
        name = "CDNOW 1/10 sample" if sample else "CDNOW"
        pictures = evidence_pictures(evidence, PUBLISHED)
        written = _write(evidence, out, name, pictures)
        if model is not None:
            _write_model(evidence, model, name, pictures)
    _print(screen, evidence)
    width = max(len(str(path)) for path, _ in written)
    screen.print("[bold]Written[/]")
    for path, what in written:
        screen.print(f"  {path!s:<{width}}  [dim]{what}[/]", soft_wrap=True)
    if model is not None:
        screen.print(
            f"  {model!s:<{width}}  [dim]the model, for lifeworth.load and lifeworth predict[/]", soft_wrap=True
        )
    return evidence


def _write(evidence: Evidence, out: Path, name: str, drawn: Pictures) -> list[tuple[Path, str]]:
    """Write the results into a folder, each file whole; give their paths and what they are."""
    from lifeworth import plots

    content = evidence_report(
        evidence,
        {key: picture for key, (picture, _) in drawn.items()},
        "What CDNOW's customers are worth",
        ABOUT if name == "CDNOW" else f"{name}. {ABOUT}",
    )
    written: list[tuple[Path, str]] = []
    actuals = ["actual_purchases", "actual_spend"]
    compared = ["customer_id", "expected_purchases", "purchases_lower", "purchases_upper", "actual_purchases"]
    compared += ["clv", "clv_lower", "clv_upper", "actual_spend"]
    for file, frame, what in (
        ("customers.parquet", evidence.customers.drop(columns=actuals), "each customer's past, and predictions"),
        ("holdout.parquet", evidence.customers[compared], "predictions beside what then happened"),
        ("comparison.csv", evidence.comparison.reset_index(), "historical beside predictive, scored"),
    ):
        with replacing(out / file) as temporary:
            if file.endswith(".csv"):
                frame.to_csv(temporary, index=False)
            else:
                frame.to_parquet(temporary, index=False)
        written.append((out / file, what))
    for key, (picture, figure) in drawn.items():
        written.append((plots.save(figure, out / "pictures" / f"{key}.png"), picture.title))
    refuse_to_replace(out / "model")
    _write_model(evidence, out / "model", name, drawn)
    written.append((out / "model", "the model with its card, for lifeworth.load and lifeworth predict"))
    write_report(content, out / "report.html")
    written.append((out / "report.html", "all of it on one page: open it in a browser"))
    return written


def _write_model(evidence: Evidence, path: Path, name: str, drawn: Pictures) -> None:
    from lifeworth import plots

    with replacing(path, folder=True) as folder:
        plots.save(drawn["tracking"][1], folder / "tracking.png", scale=1.5)
        write_clv(evidence.clv, folder)
        (folder / "README.md").write_text(render_card(evidence, name, ABOUT), encoding="utf-8")


def _print(screen: Console, evidence: Evidence) -> None:
    """The summary: what was seen, what was foretold, what happened."""
    money = evidence.calibration.currency or ""
    end = evidence.calibration.observation_end
    screen.print()
    screen.print(
        f"[bold]{len(evidence.customers):,} customers[/], seen until {end:%Y-%m-%d}; "
        f"the next {evidence.horizon} are the judge."
    )
    screen.print(f"[dim]{evidence.calibration.audit}[/]\n")
    rows = []
    for fit in (evidence.clv.purchases, evidence.clv.spend):
        if fit is None:
            continue
        for index, (name, draws) in enumerate(fit.draws.items()):
            published = PUBLISHED[fit.family.name][name]
            colour = {"ok": "green", "warn": "yellow", "fail": "red"}[fit.diagnostics.verdict]
            verdict = f"[{colour}]{fit.diagnostics.verdict}[/] {fit.diagnostics.figure}" if index == 0 else ""
            rows.append(
                [
                    fit.family.label if index == 0 else "",
                    name,
                    f"{draws.mean():.3f}",
                    f"± {draws.std():.3f}",
                    published,
                    verdict,
                ]
            )
    columns = [
        ("", "left"),
        ("", "left"),
        ("mean", "right"),
        ("sd", "left"),
        ("1/10 sample, published", "right"),
        ("", "left"),
    ]
    screen.print(terminal.table("Posterior", columns, rows), "")
    rows = []
    for label, total, actual in (
        ("purchases", evidence.totals.of_purchases, evidence.actual_purchases),
        (f"spend ({money})", evidence.totals.of_value, evidence.actual_value),
    ):
        span = f"{total.lower:,.0f} to {total.upper:,.0f}"
        rows.append([label, f"{total.expected:,.0f}", span, f"{actual:,.0f}", f"{total.expected / actual - 1:+.1%}"])
    columns = [("", "left"), ("predicted", "right"), ("90 % interval", "left"), ("actual", "right"), ("error", "right")]
    screen.print(terminal.table(f"All customers, next {evidence.horizon}", columns, rows), "")
    rows = []
    for method, result in evidence.verdicts.items():
        mark, scores = "[bold]" if method == evidence.nearest else "", result.scores
        said, found = f"{result.said:,.2f}", f"{scores.top_decile_share:.0%}" if result.ranks else ""
        rows.append(
            [
                f"{mark}{method}",
                f"{mark}{said}",
                f"{result.actual:,.2f}",
                f"{scores.bias:+.0%}",
                f"{scores.mae:,.2f}",
                found,
            ]
        )
    columns = [
        ("", "left"),
        ("says", "right"),
        ("actual", "right"),
        ("error", "right"),
        ("MAE", "right"),
        ("top tenth finds", "right"),
    ]
    screen.print(terminal.table(f"Historical beside predictive: spend per customer ({money})", columns, rows), "")
    within = evidence.verdicts[PREDICTIVE].scores.coverage
    screen.print(
        f"{evidence.purchases.coverage:.0%} of customers bought, and {within:.0%} spent, "
        "within their own 90 % interval.\n"
    )
