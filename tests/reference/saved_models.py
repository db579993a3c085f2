"""Makes the saved fits that every later lifeworth must read: once per format, and never again.

Format 4 is that of fits whose parameters differ between groups of customers, format 3 that of calibrated models; all
others are still written in format 2.

After a change of `lifeworth.model.store.FORMAT`: `python tests/reference/saved_models.py` writes a folder named
after the new format, with models that need it, and what they predict for a few customers. It refuses to touch a folder
that is there. (The CLV of format 1 is the model that shipped with 0.1.0 while it was in the making.)
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import lifeworth as lw
from lifeworth.families.design import Bands
from lifeworth.model.store import FORMAT

HERE = Path(__file__).parent / "saved"
# x, t_x, T in weeks and mean spend: never back, back soon, lately, and often.
CUSTOMERS = {
    "customer_id": [1, 2, 3, 4],
    "frequency": [0, 2, 1, 25],
    "recency": [0.0, 30.43, 1.71, 38.0],
    "T": [38.86, 38.86, 38.0, 38.43],
    "monetary_value": [0.0, 22.35, 11.77, 80.0],
}


def predictions(model: lw.Fit | lw.CLV) -> dict[str, list[float]]:
    """What a model says of the customers above, over 39 weeks."""
    import pandas as pd

    table = lw.RFM.from_frame(pd.DataFrame(CUSTOMERS), "W")
    if isinstance(model, lw.CLV):
        # Formats before 4 were kept when a calibration did not move expectations yet.
        frame = replace(model, calibration=None).predict(table, "39W", uncertainty=None).drop(columns="customer_id")
        learned = {} if model.calibration is None else {"windows": [model.calibration.windows]}
        return {name: frame[name].tolist() for name in frame} | learned
    if model.family.kind == "spend":
        return {"expected_spend": model.expected_spend(table).tolist()}
    return {
        "probability_alive": model.probability_alive(table).tolist(),
        "expected_purchases": model.expected_purchases(table, "39W").tolist(),
        "probability_no_purchase": model.probability_no_purchase(table, "39W").tolist(),
    }


def grouped(fit: lw.Fit, name: str) -> lw.Fit:
    """The same fit, with a parameter that is a fifth larger for customers older than 38.5 weeks."""
    factors = np.array([1.0, 1.2])
    samples = dict(fit.samples) | {name: fit.samples[name][:, :, None] * factors}
    draws = fit.draws | {name: fit.draws[name][:, None] * factors}
    posterior = replace(fit.posterior, draws=draws, design=Bands("T", (38.5,)))
    return replace(fit, posterior=posterior, samples=samples)


def main() -> None:
    folder = HERE / str(FORMAT)
    folder.mkdir()
    purchases, spend = lw.load(HERE / "2" / "bg_nbd"), lw.load(HERE / "2" / "gamma_gamma")
    assert isinstance(purchases, lw.Fit) and isinstance(spend, lw.Fit)
    purchases, spend = grouped(purchases, "alpha"), grouped(spend, "v")
    models = {"bg_nbd": purchases, "gamma_gamma": spend, "clv": lw.CLV(purchases, spend)}
    for name, model in models.items():
        model.save(folder / name)
    said = {name: predictions(model) for name, model in models.items()}
    (folder / "predictions.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
