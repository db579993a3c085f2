"""Saved models as the objects that were saved."""

from __future__ import annotations

from pathlib import Path

from lifeworth.errors import DataError
from lifeworth.model.clv import CLV
from lifeworth.model.fit import Fit, PurchaseFit, SpendFit, as_fit
from lifeworth.model.store import read_parts


def load(path: str | Path) -> Fit | CLV:
    """Read a saved fit or CLV, of this version of lifeworth or of an earlier one.

    Nothing in the folder is run: it is JSON and Parquet, and all of it is checked before use.

    Parameters
    ----------
    path : folder that `Fit.save` or `CLV.save` wrote.

    Returns
    -------
    PurchaseFit, SpendFit or CLV, as it was saved.

    Raises
    ------
    SourceError : no such folder, or one that cannot be read.
    DataError : not a saved model, damaged, or written by a newer lifeworth.

    Examples
    --------
    >>> import tempfile, lifeworth as lw
    >>> known = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     known.save(f"{folder}/model")
    ...     lw.load(f"{folder}/model")
    BG/NBD fit (r = 0.243, alpha = 4.414, a = 0.793, b = 2.426; 1 draw, ok)
    """
    saved = read_parts(path)
    fits = {name: as_fit(data) for name, data in saved.fits.items()}
    if "fit" in fits:
        return fits["fit"]
    purchases, spend = fits["purchases"], fits.get("spend")
    if not isinstance(purchases, PurchaseFit) or not (spend is None or isinstance(spend, SpendFit)):
        raise DataError(f"{path} is damaged: its parts are not a model of purchases and one of spend.")
    return CLV(purchases, spend, saved.calibration)
