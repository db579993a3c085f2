# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # CDNOW, from purchases to customer lifetime value
#
# 23,570 customers of an online music shop first bought in the first quarter of 1997. What will each of them be worth
# over the 39 weeks after 30 September 1997, and how sure can we be? Those weeks are known, so the forecast has a judge.
#
# This file is a notebook in plain Python: Jupyter with Jupytext, VS Code and PyCharm open it cell by cell.

# %%
import lifeworth as lw

transactions = lw.load_cdnow()
calibration, holdout = lw.train_test_split(transactions, train_end="1997-09-30", currency="USD")
print(calibration, calibration.audit, sep="\n")

# %% [markdown]
# Two models: how often customers buy and when they leave (BG/NBD), and how much they spend per purchase (Gamma-Gamma).
# Both posteriors take a second; `method="nuts"` has PyMC's sampler draw them, in a minute or two.

# %%
clv = lw.fit_clv(calibration, seed=1)
print(clv.purchases.diagnostics, clv.spend.diagnostics, sep="\n")
print(clv.purchases.summary())

# %% [markdown]
# One row per customer. The interval is the customer's own: what this customer will do, not only how sure we are of the
# average of customers like this one.

# %%
predictions, totals = clv.predict_both(calibration, horizon="39W", seed=1)
print(predictions.sort_values("clv", ascending=False).head())

# %% [markdown]
# The judge: all customers together, and each of them.

# %%
print(totals.to_pandas())
print(f"actual: {holdout['frequency'].sum():,} purchases, {holdout['spend'].sum():,.0f} USD")
inside = holdout["spend"].between(predictions["clv_lower"], predictions["clv_upper"]).mean()
print(f"{inside:.0%} of the customers spent within their own 90 % interval")

# %% [markdown]
# And what the classic formulas say of the same customers.

# %%
print(lw.historical_clv(transactions, "revenue_per_customer", end="1997-09-30"))
print(lw.historical_clv(transactions, "aov_frequency_duration", end="1997-09-30"))
print(f"actual: {holdout['spend'].mean():.2f} USD per customer")

# %%
lw.plots.plot_posterior(clv.purchases.draws)
