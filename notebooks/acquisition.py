# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What may a new customer cost?
#
# An advertisement brings customers at 20 dollars each. Is that cheap? It depends on what a customer brings back, how
# soon, and how sure one must be. The data: a shop that keeps 30 cents of each dollar.

# %%
import numpy as np
import pandas as pd

import lifeworth as lw

calibration = lw.rfm_summary(lw.load_cdnow(), observation_end="1997-09-30", currency="USD")
clv = lw.fit_clv(calibration, seed=1)
clv

# %% [markdown]
# ## A customer won today
#
# Not one of those in the table: somebody of whom we know nothing yet. Each line of the table is a horizon. `clv` is the
# contribution at a margin of 30 %, in today's money at 10 % a year. It is also the most that one may pay for such a
# customer without losing money on average.

# %%
terms = {"margin": 0.3, "discount_rate": 0.1}
horizons = ["1M", "3M", "6M", "12M", "18M", "24M", "36M"]
new = clv.new_customer(horizons, acquisition_cost=20, **terms)
new[
    ["first_value", "repeat_value", "clv", "clv_lower", "clv_upper", "net_clv", "probability_profitable", "ltv_cac"]
].round(2)

# %%
from lifeworth.plots.style import ACTUAL, BAND_ALPHA, INK, MODEL, dress, label_axes, legend_above, new_figure, style


def draw_worth(new, cost):
    """What a new customer is worth, by the time one waits."""
    months = [int(horizon.removesuffix("M")) for horizon in new.index]
    with style():
        ax = new_figure(3.5).add_subplot()
        dress(ax)
        ax.fill_between(
            months,
            new["clv_lower"],
            new["clv_upper"],
            color=MODEL,
            alpha=BAND_ALPHA,
            linewidth=0,
            label="90 % of single customers",
        )
        ax.plot(months, new["clv"], color=MODEL, linewidth=2, marker="o", label="on average")
        ax.axhline(cost, color=ACTUAL, linewidth=1.5, linestyle="--", label=f"cost of acquisition, {cost} USD")
        ax.set_xticks(months)
        ax.set_ylim(0)
        label_axes(ax, "months after the first purchase", "contribution (USD)")
        legend_above(ax)
    return ax


_ = draw_worth(new, 20)

# %% [markdown]
# On average a customer has paid for itself after six months; a single one mostly has not. The band is so
# wide because most never come back and a few carry everybody. That is the business of a shop, and the reason why one
# looks at many customers together.
#
# ## LTV:CAC
#
# Marketing people look at the ratio. Three is a rule of thumb and not a law: it says nothing of when.

# %%
costs = [5, 10, 15, 20, 30, 40]
ratios = pd.DataFrame(
    {f"{cost} USD": clv.new_customer(["6M", "12M", "24M"], acquisition_cost=cost, **terms)["ltv_cac"] for cost in costs}
)
ratios.round(2)

# %% [markdown]
# ## When is the money back?
#
# The question that pays the wages. Take a campaign that wins 1,000 customers at 20 dollars each. Their first purchase
# pays a part at once; the rest comes back month by month. A new customer is a row without history, so a campaign is a
# table of a thousand such rows.

# %%
campaign = pd.DataFrame(
    {"customer_id": np.arange(1000), "frequency": 0, "recency": 0.0, "T": 0.0, "monetary_value": 0.0}
)
won = lw.RFM.from_frame(campaign, time_unit="W", observation_end="1997-09-30", currency="USD")
totals = clv.predict_total(won, "24M", period="M", **terms)
first = 1000 * float(new["first_value"].iloc[0])
totals

# %%
payback = totals.payback(20 * 1000 - first)
cash = totals.cash_flow()
reached = payback[payback["probability"] >= 0.9]
print(f"the first purchases bring {first:,.0f} of the {20 * 1000:,} USD")
print("90 % sure to be paid back:", f"{reached['end'].iloc[0]:%B %Y}" if len(reached) else "not within two years")


# %%
def draw_payback(cash, payback, open_bill):
    """The bill, and how it is paid."""
    with style():
        ax = new_figure(3.5).add_subplot()
        dress(ax)
        months = cash.index
        ax.fill_between(
            months,
            cash["cumulative_lower"],
            cash["cumulative_upper"],
            color=MODEL,
            alpha=BAND_ALPHA,
            linewidth=0,
            label="90 % of campaigns",
        )
        ax.plot(months, cash["cumulative_value"], color=MODEL, linewidth=2, label="repeat purchases, added up")
        ax.axhline(
            open_bill, color=ACTUAL, linewidth=1.5, linestyle="--", label="left to pay after the first purchases"
        )
        sure = payback.index[payback["probability"] >= 0.9]
        if len(sure):
            ax.axvline(sure[0], color=INK, linewidth=0.9, linestyle=":")
            at, top = (sure[0], 0.94), ax.get_xaxis_transform()
            ax.annotate(f"month {sure[0]}: 90 % sure", at, (6, 0), top, textcoords="offset points", color=INK)
        ax.set_ylim(0)
        ax.yaxis.set_major_formatter("{x:,.0f}")
        label_axes(ax, "months after the campaign", "contribution (USD)")
        legend_above(ax)
    return ax


_ = draw_payback(cash, payback, 20 * 1000 - first)

# %% [markdown]
# A thousand customers together are nearly certain where a single one is a lottery ticket. That is why the campaign can
# be judged after a few months, and a single customer never.
#
# ## How much to spend?
#
# Cheap customers run out: the next thousand cost more than the last. As long as a customer costs less than they bring
# within the time one can wait, go on; the border is `clv` of that horizon.

# %%
border = clv.new_customer(["6M", "12M", "24M"], uncertainty=None, **terms)["clv"]
for horizon, value in border.items():
    print(f"money back within {horizon:>3}: pay at most {value:.2f} USD for the dearest customer")

# %% [markdown]
# ## What to be careful about
#
# - **The average of all is not the customer of this campaign.** Voucher hunters come back less. Fit the channels apart,
#   or give totals `by=` channel, as soon as each has a few hundred customers.
# - **The last customer, not the average one.** A campaign that costs 20 dollars on average may pay 50 for its last
#   hundred.
# - **Margin, not revenue.** With `margin=1.0` every campaign looks good.
# - **First purchases may differ from later ones.** The model takes them for alike; look whether first orders are
#   smaller in your shop.
# - **24 months after 9 months of data** is far ahead. The posterior does not know that the shop may change.
