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
# # From purchases to customer lifetime value, in ten cells
#
# 23,570 customers of CDNOW, an online music shop, first bought in the first quarter of 1997. What will each of them
# spend in the 39 weeks after 30 September 1997, and how sure can we be? Those weeks are long over and in the data, so
# the forecast has a judge.
#
# **1.** The purchases: a customer, a date, an amount. Yours may be a pandas or Polars frame, a DuckDB relation, a
# Parquet or CSV file.

# %%
import lifeworth as lw

transactions = lw.load_cdnow()
transactions.head()

# %% [markdown]
# **2.** Cut them in two. Calibration is what the model may see: one row per customer. Of each we keep how often they
# came back (`frequency`), when they last did (`recency`), how long we have known them (`T`) and what they spend
# (`monetary_value`).

# %%
calibration, holdout = lw.train_test_split(transactions, train_end="1997-09-30", currency="USD")
calibration

# %% [markdown]
# **3.** Two models: how often customers buy and when they leave for good (BG/NBD), and how much they spend per purchase
# (Gamma-Gamma). What comes back is not one answer but a thousand plausible ones, a posterior, and a verdict on it.

# %%
clv = lw.fit_clv(calibration, seed=1)
clv

# %% [markdown]
# **4.** Does the model know the shop? Its line (blue) knows when each customer first bought, and nothing of what they
# did then. Copper is what happened. Right of the dotted line the model has seen nothing.

# %%
tracking = lw.track_purchases(clv.purchases, calibration, transactions)
_ = lw.plots.plot_tracking_both(tracking, train_end="1997-09-30")

# %% [markdown]
# The peaks in November, December and March are not the model's: it has no word for Christmas or for a campaign. Keep
# that in mind for every total below.
#
# **5.** Value every customer over 39 weeks. The interval is the customer's own: what this customer may really do, not
# merely how sure we are of the average of such customers.

# %%
predictions = clv.predict(calibration, horizon="39W", seed=1)
predictions.sort_values("clv", ascending=False).head()

# %% [markdown]
# **6.** Past against future. Who has spent much will not always spend much: below the diagonal, far to the right, are
# good customers who have probably gone.

# %%
_ = lw.plots.plot_past_future(calibration.past_spend, predictions["clv"], currency="USD")

# %% [markdown]
# **7.** A few customers hold most of the future.

# %%
_ = lw.plots.plot_value_distribution(predictions["clv"], currency="USD")

# %% [markdown]
# **8.** All of them together, with the interval of the total.

# %%
totals = clv.predict_total(calibration, horizon="39W", seed=1)
totals

# %% [markdown]
# **9.** And now the judge. What did they really spend?

# %%
actual = holdout["spend"]
inside = actual.between(predictions["clv_lower"], predictions["clv_upper"]).mean()
error = totals.expected_value / actual.sum() - 1
print(f"foretold {totals.expected_value:,.0f} USD, happened {actual.sum():,.0f} USD ({error:+.0%})")
print(f"{inside:.0%} of the customers spent within their own 90 % interval")
_ = lw.plots.plot_gains(actual, {"predicted value": predictions["clv"], "spend so far": calibration.past_spend})

# %% [markdown]
# **10.** Keep the model: a few hundred kilobytes, no customers inside. `lw.load("cdnow-model")` reads it, and scoring
# needs no PyMC.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    clv.save(Path(folder) / "cdnow-model")
    print(lw.load(Path(folder) / "cdnow-model"))

# %% [markdown]
# ## What to be careful about
#
# - **The total was too low, and its interval did not hold the truth.** The interval holds chance and the uncertainty of
#   the parameters. It does not hold Christmas, a campaign, or a shop that gets better. Look at cell 4 before you
#   believe a total.
# - **Ranking is easier than levels.** The best tenth by predicted value made 52 % of the spend, the best tenth by past
#   spend alone 50 %. What the model adds is less the order than the level, the interval and the time.
# - **39 weeks after 39 weeks.** A horizon much longer than the data is guesswork with decimals.
# - **`clv` is spend here.** With `margin=0.3` and `discount_rate=0.1` it becomes profit in today's money.
