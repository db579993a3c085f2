"""The card of a saved model: what it was fit on, how it did, and what it must not be used for."""

from __future__ import annotations

from typing import Any

from lifeworth.evaluate.evidence import PREDICTIVE, Evidence
from lifeworth.timeunits import UNIT_NAMES

_TEMPLATE = """\
# {{ name }}

{{ about }}

| | |
|---|---|
| purchases | {{ purchases.family.label }}: {{ purchases.family.source }} |
| spend | {{ spend.family.label }}: {{ spend.family.source }} |
| fitted on | {{ "{:,}".format(rfm|length) }} customers, purchases by {{ period }}, up to {{ end }} |
| rows | {{ rfm.audit }} |
| units | time in {{ units[purchases.time_unit] }}s, money in {{ rfm.currency or "the data's currency" }} |
| made | {{ made }} |

## Posterior

| parameter | mean | sd | 5 % | 95 % |
|---|---:|---:|---:|---:|
{% for row in rows -%}
| {{ row.name }} | {{ "%#.4g"|format(row.mean) }} | {{ "%#.2g"|format(row.sd) }} | {{ "%#.4g"|format(row.lower) }} | \
{{ "%#.4g"|format(row.upper) }} |
{% endfor %}
{% for fit in (purchases, spend) -%}
- {{ fit.family.label }}: {{ "{:,}".format(fit.posterior|length) }} draws by {{ fit.diagnostics.how }}; \
verdict {{ fit.diagnostics }}
{% endfor %}
## On the holdout

{{ holdout }}: the {{ horizon }} after the end of calibration, which the model has not seen.

| | predicted | 90 % interval | actual |
|---|---:|---:|---:|
| purchases | {{ "{:,.0f}".format(totals.of_purchases.expected) }} | \
{{ "{:,.0f}".format(totals.of_purchases.lower) }} to {{ "{:,.0f}".format(totals.of_purchases.upper) }} | \
{{ "{:,.0f}".format(evidence.actual_purchases) }} |
| spend | {{ "{:,.0f}".format(totals.of_value.expected) }} | \
{{ "{:,.0f}".format(totals.of_value.lower) }} to {{ "{:,.0f}".format(totals.of_value.upper) }} | \
{{ "{:,.0f}".format(evidence.actual_value) }} |

- {{ "%.0f"|format(100 * scores.coverage) }} % of the customers spent within their own 90 % interval.
- The tenth of customers predicted highest made {{ "%.0f"|format(100 * scores.top_decile_share) }} % of the spend.
- Rank correlation of predicted and actual spend: {{ "%.2f"|format(scores.spearman) }}.
- Mean absolute error per customer: {{ "%.2f"|format(scores.mae) }}; it is
  {{ "%.2f"|format(revenue.mae) }} if everybody is given the revenue per customer so far.

![Repeat purchases per week and in total, as they were and as the model expects](tracking.png)

## Not to be used for

- Customers of another business, country or time: the parameters are those of these customers.
- Contracts and subscriptions: the model takes it that customers leave without a word.
- Totals on the strength of the interval alone: it holds chance and parameters, not changes of the world
  {%- if not totals.of_value.holds(evidence.actual_value) %}, and here it did not hold what happened{% endif %}.
- Prices, credit or anything else that decides over a person.
- Values of single customers to the cent: look at the interval.
"""


def render_card(evidence: Evidence, name: str, about: str) -> str:
    """Write a model card in Markdown."""
    import jinja2
    import numpy as np

    purchases, spend = evidence.clv.purchases, evidence.clv.spend
    assert spend is not None
    rows: list[dict[str, Any]] = []
    for fit in (purchases, spend):
        for parameter, draws in fit.draws.items():
            lower, upper = np.quantile(draws, [0.05, 0.95])
            rows.append({"name": parameter, "mean": draws.mean(), "sd": draws.std(), "lower": lower, "upper": upper})
    attrs = evidence.holdout.attrs
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(_TEMPLATE)
    return template.render(
        name=name,
        about=about,
        purchases=purchases,
        spend=spend,
        rfm=evidence.calibration,
        units=UNIT_NAMES,
        period=UNIT_NAMES.get(evidence.calibration.period or "", "a period not known"),
        end=f"{evidence.calibration.observation_end:%Y-%m-%d}",
        made=f"{purchases.origin.created[:10]}, with "
        + ", ".join(f"{library} {version}" for library, version in purchases.origin.versions.items()),
        rows=rows,
        holdout=f"{attrs['start'][:10]} to {attrs['end'][:10]}",
        horizon=evidence.horizon,
        totals=evidence.totals,
        evidence=evidence,
        scores=evidence.verdicts[PREDICTIVE].scores,
        revenue=evidence.verdicts["Revenue per customer"].scores,
    )
