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
# # RFM, and what the columns mean
#
# Four numbers stand for a customer's whole history. Nearly every wrong forecast that people bring has its cause here,
# and not in the model: a first purchase counted as a repeat, a refund taken for an order, an age in days beside a
# recency in weeks. So let us look at the four numbers with our own eyes.

# %%
import numpy as np
import pandas as pd

import lifeworth as lw

shop = pd.DataFrame(
    [
        ("ann", "2025-01-06", 40.0),
        ("ann", "2025-02-03", 20.0),
        ("ann", "2025-02-03", 15.0),  # a second order on the same day
        ("ann", "2025-05-05", 25.0),
        ("bob", "2025-02-10", 60.0),
        ("cem", "2025-01-20", 30.0),
        ("cem", "2025-03-03", 50.0),
        ("cem", "2025-03-10", -50.0),  # sent back
        ("dee", "2025-05-12", 35.0),
        ("dee", "2025-05-19", 45.0),
    ],
    columns=["customer_id", "date", "amount"],
)
rfm = lw.rfm_summary(shop, period="D", time_unit="W", observation_end="2025-06-02", currency="EUR")
rfm.to_pandas()

# %% [markdown]
# The same as a picture. A line is a customer's time with the shop, from the first purchase to the day we stopped
# looking.


# %%
def draw_histories(shop, rfm):
    """A line per customer: purchases as dots, recency and T as lengths."""
    from lifeworth.plots.style import ACTUAL, INK, MODEL, MUTED, dress, label_axes, new_figure, style

    end = rfm.observation_end
    with style():
        ax = new_figure(3.3).add_subplot()
        dress(ax, grid="x")
        for place, (customer, rows) in enumerate(shop.groupby("customer_id")):
            days = pd.to_datetime(rows["date"])
            of = rfm.to_pandas().set_index("customer_id").loc[customer]
            first, last = days.min(), days.min() + pd.Timedelta(weeks=of["recency"])
            ax.plot([first, end], [place, place], color=MUTED, linewidth=1.0, zorder=1)
            ax.plot([first, last], [place, place], color=MODEL, linewidth=5, alpha=0.35, zorder=2)
            bought = days[rows["amount"] > 0]
            ax.plot(bought, [place] * len(bought), "o", color=MODEL, markersize=7, zorder=3)
            back = days[rows["amount"] < 0]
            ax.plot(back, [place] * len(back), "x", color=ACTUAL, markersize=8, markeredgewidth=2, zorder=4)
            text = f"frequency {of['frequency']:.0f}   recency {of['recency']:.0f}   T {of['T']:.0f} weeks"
            at, side = (first, "left") if of["T"] > 10 else (end, "right")
            ax.annotate(text, (at, place), (0, 9), textcoords="offset points", color=INK, fontsize=8.5, ha=side)
        ax.set_yticks(range(rfm.customer_id.size), list(rfm.customer_id))
        ax.set_ylim(rfm.customer_id.size - 0.6, -0.75)
        label_axes(ax, "date", "")
    return ax


_ = draw_histories(shop, rfm)

# %% [markdown]
# - **frequency** counts *repeat* purchases. Ann bought on three days, so her frequency is 2. Her two orders on 3
#   February are one: they fall into one *period* (`period="D"`). Bob never came back: 0.
# - **recency** is the age at the last purchase, the thick line. It is *not* the time since the last purchase, as some
#   use the word: that is T − recency. Bob's is 0.
# - **T** is the age at the end of observation, the whole line. Forgetting to set `observation_end` is the
#   commonest slip: by default it is the last date in the data, which is right for a shop that sells every day.
# - **monetary_value** is the mean spend per *repeat* purchase. Ann: 35 and 25, so 30. Bob's is 0, which does not mean
#   that he spent nothing, but that there is nothing to take a mean of.
#
# And Cem? He sent his second order back. By default a refund is taken off the purchase that it undoes: the latest
# earlier one of the same amount, or else the latest one. An order that is returned in full is no purchase, so Cem's
# frequency is 0. With `refunds="same_period"` a refund lowers its own period only: counted by day, his came a week too
# late, and the order stands. `refunds="drop"` leaves refunds out, `"error"` refuses them. The audit counts the rows and
# the money:

# %%
for refunds in ("net", "same_period"):
    table = lw.rfm_summary(shop, refunds=refunds, observation_end="2025-06-02")
    print(refunds, table.to_pandas().set_index("customer_id").loc["cem"].round(1).to_dict(), "|", table.audit)

# %% [markdown]
# ## A real shop
#
# CDNOW again, 23,570 customers. The audit below the table says what became of every row.

# %%
transactions = lw.load_cdnow()
rfm = lw.rfm_summary(transactions, observation_end="1997-09-30", currency="USD")
rfm

# %%
rfm.audit

# %% [markdown]
# Half of the customers never came back. That is usual, and the reason why means mislead: look at whole distributions.
#
# Cohorts show time where RFM has only an end. Each line is the customers of one month; the curve says which share of
# them bought again 1, 2, 3, ... months later.

# %%
cohorts = lw.cohort_table(transactions)
wide = cohorts.pivot(index="cohort", columns="age", values="customers")
wide.index = wide.index.strftime("%Y-%m")
(100 * wide.div(wide[0], axis=0)).round(1).iloc[:, :13]

# %% [markdown]
# ## Scores and segments
#
# The classic use of RFM: scores from 1 to 5 and names for their combinations. Where many customers are equal, as
# here with a frequency of 0, equal customers always get equal scores.

# %%
segments = lw.segment(rfm)
segments

# %%
_ = lw.plots.plot_segments(segments)

# %% [markdown]
# Segments look back. Whether an "at risk" customer is worth a letter is a question about the future, and that one
# needs a model. Here is what BG/NBD makes of two of the four numbers, for customers known for 39 weeks:

# %%
fit = lw.BetaGeo().fit(rfm, seed=1)
frequency, recency = np.arange(0, 31), np.linspace(0, 39, 40)
grid = pd.DataFrame(
    [(x, t, 39.0) for x in frequency for t in recency if x or not t], columns=["frequency", "recency", "T"]
)
grid["customer_id"] = np.arange(len(grid))
grid["alive"] = fit.probability_alive(lw.RFM.from_frame(grid, time_unit="W"))
_ = lw.plots.plot_alive_heatmap(grid[grid["frequency"] > 0].pivot(index="frequency", columns="recency", values="alive"))

# %% [markdown]
# Read a column from bottom to top: the last purchase at 20 weeks, then 19 weeks of silence. Of a customer who had
# bought three times, who knows. Of one who had bought thirty times, it is almost surely the end. The same recency
# means different things at different frequencies, and no table of scores can say that.
#
# ## What to be careful about
#
# - **Say when you stopped looking.** `observation_end` is the day of the export, not of the last sale.
# - **One period, one purchase.** `period="D"` merges orders of a day. Shops with several orders an hour may want "h",
#   wholesalers "W" or "M".
# - **Refunds have a policy**: `refunds="net"`, `"same_period"`, `"drop"` or `"error"`.
# - **Read the audit.** A row that is left out is counted, with the reason and an example.
# - **Customers who were there before the data begin** have a first purchase that is not their first. Give the table
#   only customers who were won within it.
