"""Fit again the model that ships: CDNOW up to 30 September 1997, with its card, which the 39 weeks after it judge.

python tools/models.py [FOLDER]            default: models/cdnow/1
python tools/models.py --sample FOLDER     of the published 1/10 sample
"""

import sys
from pathlib import Path

import jinja2

import lifeworth as lw
from lifeworth.atomic_files import replacing
from lifeworth.errors import FitError
from lifeworth.evaluate.tracking import track_purchases
from lifeworth.model.store import refuse_to_replace, write_clv
from lifeworth.periods import UNIT_NAMES, horizon_in_words

HOME = Path(__file__).resolve().parents[1] / "models" / "cdnow" / "1"
TRAIN_END, HORIZON = "1997-09-30", "39W"
ABOUT = (
    "Customers of CDNOW, an online music shop, who first bought in the first quarter of 1997. The models see their "
    "purchases up to 30 September 1997; the 39 weeks to 30 June 1998 are the judge."
)
CARD = """\
# {{ name }}

{{ about }}

| | |
|---|---|
{% for fit in fits -%}
| {{ fit.family.kind }} | {{ fit.family.label }}: {{ fit.family.source }} |
{% endfor -%}
| fitted on | {{ "{:,}".format(rfm|length) }} customers, purchases by {{ units[rfm.period] }}, up to {{ end }} |
| rows | {{ rfm.audit }} |
| units | time in {{ units[rfm.time_unit] }}s, money in {{ rfm.currency }} |
| made | {{ made }} |

## Posterior

| parameter | mean | sd | 5 % | 95 % |
|---|---:|---:|---:|---:|
{% for name, draws in draws.items() -%}
| {{ name }} | {{ "%#.4g"|format(draws.mean()) }} | {{ "%#.2g"|format(draws.std()) }} | \
{{ "%#.4g"|format(quantile(draws, 0.05)) }} | {{ "%#.4g"|format(quantile(draws, 0.95)) }} |
{% endfor %}
{% for fit in fits -%}
- {{ fit.family.label }}: {{ "{:,}".format(fit.posterior|length) }} draws by {{ fit.diagnostics.how }}; \
verdict {{ fit.diagnostics }}
{% endfor %}
## On the holdout

After {{ end }}, up to {{ window_end }}: {{ horizon }} that the model has not seen.

| | predicted | 90 % interval | actual |
|---|---:|---:|---:|
{% for row in totals -%}
| {{ row.label }} | {{ "{:,.0f}".format(row.predicted) }} | {{ "{:,.0f}".format(row.lower) }} to \
{{ "{:,.0f}".format(row.upper) }} | {{ "{:,.0f}".format(row.actual) }} |
{% endfor %}
- {{ "%.0f"|format(100 * mine.coverage) }} % of the customers spent within their own 90 % interval.
- The tenth of customers predicted highest made {{ "%.0f"|format(100 * mine.money_found) }} % of the spend.
- Rank correlation of predicted and actual spend: {{ "%.2f"|format(mine.spearman) }}.
- Mean absolute error per customer: {{ "%.2f"|format(mine.mae) }}; it is {{ "%.2f"|format(rate.mae) }} if everybody's
  own rate of spending is carried on.

![Repeat purchases per week and in total, as they were and as the model expects](tracking.png)

## Not to be used for

- Customers of another business, country or time: the parameters are those of these customers.
- Contracts and subscriptions: the model takes it that customers leave without a word.
- Totals on the strength of the interval alone: it holds chance and parameters, not changes of the world
  {%- if not totals[1].inside %}, and here it did not hold what happened{% endif %}.
- Prices, credit or anything else that decides over a person.
- Values of single customers to the cent: look at the interval.
"""


def make(folder: Path, sample: bool = False) -> None:
    """Fit, judge and write.

    Raises
    ------
    FitError : the fit failed its diagnostics; nothing is written.
    """
    refuse_to_replace(folder)
    purchases = lw.load_cdnow(sample=sample)
    judged = lw.backtest(
        purchases, [TRAIN_END], HORIZON, baselines=["own_rate"], method="auto", draws=1000, currency="USD", bootstrap=0
    )
    (cut,) = judged.cuts
    model = cut.forecasts[0]
    if model.clv is None or model.clv.spend is None:
        raise FitError(f"{model.reason} No model was written.")
    with replacing(folder, folder=True) as whole:
        tracking = track_purchases(model.clv.purchases, cut.rfm, purchases)
        lw.plots.save(lw.plots.plot_tracking_both(tracking, train_end=TRAIN_END), whole / "tracking.png", scale=1.5)
        write_clv({"purchases": model.clv.purchases, "spend": model.clv.spend}, model.clv.calibration, whole)
        card = render_card("CDNOW 1/10 sample" if sample else "CDNOW", model.clv, cut.rfm, judged)
        (whole / "README.md").write_text(card, encoding="utf-8")


def render_card(name: str, clv: lw.CLV, rfm: lw.RFM, judged: lw.Backtest) -> str:
    """What the model was fitted on, how it did, and what it must not be used for, in Markdown."""
    import numpy as np

    fits = [fit for fit in (clv.purchases, clv.spend) if fit is not None]
    made, scores = clv.purchases.origin, judged.summary("value")
    totals = judged.totals[judged.totals["method"] == "bg_nbd"].to_dict("records")
    labels = {"purchases": "purchases", "value": "spend"}
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(CARD)
    return template.render(
        name=name,
        about=ABOUT,
        fits=fits,
        rfm=rfm,
        units=UNIT_NAMES,
        end=TRAIN_END,
        made=f"{made.created[:10]}, with " + ", ".join(f"{library} {one}" for library, one in made.versions.items()),
        draws={name: draws for fit in fits for name, draws in fit.draws.items()},
        quantile=np.quantile,
        window_end=f"{judged.cuts[0].window_end:%Y-%m-%d}",
        horizon=horizon_in_words(judged.horizon, judged.time_unit).replace("\u00a0", " "),
        totals=[row | {"label": labels[row["target"]]} for row in totals],
        mine=scores.loc["bg_nbd"],
        rate=scores.loc["own_rate"],
    )


if __name__ == "__main__":
    given = [one for one in sys.argv[1:] if one != "--sample"]
    make(Path(given[0]) if given else HOME, sample="--sample" in sys.argv)
