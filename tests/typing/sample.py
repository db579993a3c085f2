"""What somebody who uses lifeworth may write, for a type checker to read."""

import pandas as pd
from pymc_extras.prior import Prior  # type: ignore[import-untyped]

import lifeworth as lw

transactions: pd.DataFrame = lw.load_cdnow(sample=True)
calibration: lw.RFM = lw.rfm_summary(transactions, observation_end="1997-09-30", time_unit="W", progress=True)
train, holdout = lw.train_test_split(transactions, train_end="1997-09-30", currency="USD")
tx = lw.Transactions(transactions, "customer_id", "date", "amount", period="D", currency="USD")
table: lw.RFM = tx.rfm("1997-09-30")
train, holdout = lw.train_test_split(tx, "1997-09-30")
train, holdout = tx.split("1997-09-30", "1997-12-31")
orders: pd.DataFrame = tx.orders()
rows_used: int = tx.audit.rows_used
by_channel: pd.DataFrame = lw.historical_clv(transactions, "revenue_per_customer", refunds="drop", end="1997-09-30")
bought: float = float(holdout["frequency"].sum())

model = lw.BetaGeo(priors={"r": Prior("LogNormal", mu=-0.5, sigma=1.0)})
fit = model.fit(train, method="laplace", draws=400, seed=1)
alive = fit.probability_alive(train)
first: float = float(alive[0])
spend = lw.GammaGamma().fit(train, draws=400, progress=False)

clv: lw.CLV = lw.CLV(fit, spend)
predictions: pd.DataFrame = clv.predict(train, "39W", discount_rate=0.1, margin=0.3, uncertainty="mean")
totals = clv.predict_total(train, "39W", period="13W", uncertainty="mean")
low: float = totals.of_value.lower
by_period: pd.DataFrame = totals.cash_flow()
new: pd.DataFrame = clv.new_customer(["6M", "12M"], margin=0.3, uncertainty=None)
segments: lw.Segments = lw.segment(train)
names: list[str] = lw.to_polars(segments).columns
verdict: str = fit.diagnostics.verdict
try:
    lw.load("nowhere")
except lw.LifeworthError as error:
    code: int = error.exit_code

clv.save("model")
again = lw.load("model")
assert isinstance(again, lw.CLV)
axes = lw.plots.plot_posterior(fit.draws)
