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
# # Understanding the posterior
#
# A fit is not four numbers. It is a thousand sets of four numbers, each of them plausible in the light of the data, and
# every forecast is made under all of them. This notebook looks at where they come from (priors), whether they can be
# trusted (diagnostics), whether the model they belong to is any good (checks, LOO), and when to take the fast path and
# when NUTS.

# %%
import os
import time

import numpy as np
import pandas as pd
from pymc_extras.prior import Prior

import lifeworth as lw

SMALL = os.environ.get("LIFEWORTH_SMALL") == "1"  # fewer draws, for a quick check of this notebook

calibration, holdout = lw.train_test_split(lw.load_cdnow(sample=True), train_end="1997-09-30", currency="USD")
calibration

# %% [markdown]
# ## Before any data: what do the priors take for possible?
#
# Numbers such as `r` and `alpha` mean nothing to anybody. Shops do. So let the priors make up shops: how many customers
# never come back, how often does a good one buy, how long do they stay? Copper dots are the real shop, which the priors
# have not seen.

# %%
model = lw.BetaGeo()
model

# %%
_ = lw.plots.plot_prior_predictive(model.prior_check(calibration), time_unit="weeks")

# %% [markdown]
# Wide, but not silly: the real shop is well inside, and nobody is expected to buy ten thousand times. The default
# priors are on quantities without a unit, so days instead of weeks, or cents instead of dollars, change nothing.
#
# ## After the data
#
# The default, `method="auto"`, takes the fast path: it finds the mode, draws from a bent Gaussian around it, and weighs
# each draw by how wrong that was (Pareto-smoothed importance sampling). It comes with its own certificate, k-hat: below
# 0.7 the weights can be trusted, above it lifeworth hands over to NUTS by itself.

# %%
started = time.perf_counter()
fast = model.fit(calibration, seed=1)
seconds = time.perf_counter() - started
fast

# %%
fast.diagnostics

# %%
_ = lw.plots.plot_posterior(fast.draws, reference={"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426})

# %% [markdown]
# The marks are the estimates that Fader, Hardie & Lee published in 2005. `a` and `b` lean to the right: that is what
# standard errors cannot say, and the posterior can. They also go together; taken singly they look vaguer than they are.
#
# ## The same by NUTS
#
# PyMC's sampler walks through the same posterior in chains. It needs no certificate other than that the chains agree:
# R-hat near 1, a large effective sample, no divergences. It is the judge wherever there is doubt.

# %%
started = time.perf_counter()
nuts = model.fit(calibration, method="nuts", draws=400 if SMALL else 2000, seed=1)
seconds_of_nuts = time.perf_counter() - started
nuts.diagnostics

# %%
print(f"fast path {seconds:.1f} s, NUTS {seconds_of_nuts:.0f} s, most of it for compiling")
pd.concat({"fast path": fast.summary()[["mean", "sd"]], "NUTS": nuts.summary()[["mean", "sd"]]}, axis=1).round(3)

# %% [markdown]
# The same, but for the noise of a thousand draws. What ArviZ offers works on both: `to_datatree` is the whole fit,
# with the log likelihood, replicates and the predictions of every customer, draw by draw.

# %%
tree = nuts.to_datatree(calibration, posterior_predictive=50, predictions="39W")
tree["predictions"]["expected_purchases"].mean(["chain", "draw"]).to_series().describe().round(3)

# %%
import arviz as az

print(az.summary(tree, var_names=["r", "alpha", "a", "b"], round_to=3))

# %% [markdown]
# ## Is the model any good?
#
# A posterior can be perfectly computed, and the model perfectly wrong. So let the fitted model make up this shop again,
# a hundred times, and hold the real one beside it.

# %%
check = fast.predictive_check(calibration)
_ = lw.plots.plot_predictive_check(check["frequency"], "frequency")

# %%
_ = lw.plots.plot_predictive_check(check["recency"], "recency")

# %% [markdown]
# And against the other stories? Leave one customer out, foretell that customer, and add up how well that goes
# (PSIS-LOO): higher is better, `elpd_diff` is how much is lost, `dse` the standard error of that loss.

# %%
fits = {
    "BG/NBD": fast,
    "MBG/NBD": lw.ModifiedBetaGeo().fit(calibration, seed=1),
    "Pareto/NBD": lw.ParetoNBD().fit(calibration, seed=1),
}
lw.compare(fits, calibration)

# %% [markdown]
# ## Priors of your own, and when they matter
#
# 2,357 customers drown any reasonable prior. Forty do not. Suppose that you know from other shops that about a fifth of
# customers are lost after each purchase:

# %%
few = calibration.take(np.arange(len(calibration)) % 60 == 0)
known = lw.BetaGeo(
    priors={"phi_dropout": Prior("Beta", alpha=20, beta=80), "kappa_dropout": Prior("LogNormal", mu=1, sigma=0.5)}
)
for name, one in {"default priors": lw.BetaGeo(), "with what you know": known}.items():
    fit = one.fit(few, seed=1)
    share = fit.draws["a"] / (fit.draws["a"] + fit.draws["b"])
    low, high = np.quantile(share, [0.05, 0.95])
    print(f"{name:>20}: {len(few)} customers, lost after a purchase {share.mean():.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# ## One customer under every draw
#
# This is what an interval is made of. Two kinds: how sure we are of the *expectation* (narrow, and narrower with more
# customers), and what the customer will really *do* (never narrow, however much data there is).

# %%
clv = lw.CLV(fast, lw.GammaGamma().fit(calibration, seed=1))
best = calibration.take(calibration.frequency == calibration.frequency.max())
rows = {how: clv.predict(best, "39W", uncertainty=how).iloc[0] for how in ("mean", "customer")}
for how, row in rows.items():
    print(
        f"{how:>8}: {row['purchases_lower']:.1f} to {row['purchases_upper']:.1f} purchases, "
        f"{row['clv_lower']:,.0f} to {row['clv_upper']:,.0f} USD around {row['clv']:,.0f}"
    )

# %% [markdown]
# ## What to be careful about
#
# - **A verdict of "ok" is about the computation.** It says that the draws are those of the posterior. Whether the
#   model is true is asked by the predictive check and, better, by a holdout.
# - **"fail" means no.** Such a fit predicts nothing unless you say `force=True`, and you should know why you do.
# - **Take NUTS** where k-hat is high, with priors of your own that pull hard, or before you publish. For daily work
#   the fast path is the same posterior.
# - **LOO compares models of the same table.** Across tables its numbers mean nothing.
# - **Do not read `a` alone, or `alpha` alone.** Read what they imply: the share lost per purchase, purchases per year.
