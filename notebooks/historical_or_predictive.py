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
# # Historical against predictive: who was right, and what does it earn?
#
# The classic formulas say what customers were worth. A model says what they will be worth. The two are often far
# apart, and both come with confident decimals. CDNOW's customers have a known future, so we can ask who was right,
# and, which is not the same, whose ranking one would rather have had when choosing whom to write to.

# %%
import os

import lifeworth as lw

SMALL = os.environ.get("LIFEWORTH_SMALL") == "1"  # a tenth of the customers, for a quick check of this notebook
transactions = lw.load_cdnow(sample=SMALL)
found = lw.compare_clv(transactions, train_end="1997-09-30", currency="USD", bootstrap=20 if SMALL else 200)
found

# %% [markdown]
# ## The level
#
# What each of them said a customer would spend in the 39 weeks after, on average, and what happened.

# %%
customers = found.customers
forecasts = [name for name in customers if str(name).startswith("forecast_")]
said = customers[["clv", *forecasts]].mean().rename("said")
happened = customers["actual_value"].mean()
table = said.to_frame().assign(happened=happened, error=said / happened - 1)
table["mean absolute error"] = [(customers[name] - customers["actual_value"]).abs().mean() for name in table.index]
table.sort_values("mean absolute error").round(2)

# %% [markdown]
# Formulas that divide all revenue by all customers answer another question (what was a customer worth so far?), and
# are wrong by a factor when they are taken for an answer to this one. Carrying on everybody's own rate forgets that
# customers leave. The model is not right either, but nearest by customer.
#
# ## The ranking
#
# Now suppose that there is money to write to some of the customers. Take the best by each ranking; how much of all
# that was spent came from them?

# %%
earned = found.earned.pivot_table(index="ranking", columns="budget", values="share", sort=False)
(100 * earned).round(1)

# %% [markdown]
# With its interval (bootstrap over customers), what the model's ranking found beyond that by past spend, in dollars:

# %%
better = found.earned[found.earned["ranking"] == "clv"].set_index("budget")
better[["earned", "more_than_past", "more_lower", "more_upper"]].round(0)

# %%
_ = found.plot_gains()

# %% [markdown]
# ## Who is it that they disagree on?
#
# High past and low future: good customers who have probably gone. Low past and high future: new ones on their way up.
# The rest they agree on.

# %%
found.corners.round(0)

# %%
_ = found.plot_past_future()

# %% [markdown]
# ## Not once, but again and again
#
# One cut-off is an anecdote. A backtest goes back to several, fits as of then, and judges by what followed. Every
# formula is in it, and each score has its interval.

# %%
backtest = lw.backtest(
    transactions,
    cutoffs=2 if SMALL else 3,
    horizon="13W",
    models=["bg_nbd", "pareto_nbd"],
    bootstrap=20 if SMALL else 200,
)
backtest.summary("value")[["kind", "cutoffs", "bias", "mae", "spearman", "top_found"]].round(2)

# %%
_ = backtest.plot_scores("mae", "value")

# %%
_ = backtest.plot_totals("purchases")

# %% [markdown]
# ## What to be careful about
#
# - **Ask the same question of both.** Revenue per customer so far is no forecast. Compare a formula with a model only
#   over the same customers and the same window.
# - **Levels and rankings are two things.** Past spend is a poor forecast and a decent ranking. What the model adds to
#   the ranking is real and modest; what it adds to the level is large.
# - **Sleeping customers are not "saved" by a letter because they rank high.** A ranking says who will spend, not whom a
#   letter will move. That takes an experiment.
# - **One shop.** CDNOW's customers all came in one quarter. Run `lw.backtest` on yours: it takes a minute.
