"""A registry of models: a folder of versions for each name, one of which is the champion."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.atomic_files import clear, replacing
from lifeworth.checksums import read_checked, with_checksum
from lifeworth.display import cards
from lifeworth.errors import DataError, FitError, SourceError, UsageError
from lifeworth.jobs import fingerprints
from lifeworth.jobs.lock import locked
from lifeworth.model import CLV, PurchaseFit, load

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHAMPION = "champion.json"


class Registry:
    """A registry of models in `folder/name/version`.

    Versions count from 1, are never changed, and are written completely or not at all.

    Parameters
    ----------
    folder : str or Path
        The folder of the registry; it is created with its first model.

    Examples
    --------
    >>> import lifeworth as lw, tempfile
    >>> registry = lw.Registry(tempfile.mkdtemp())
    >>> known = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W")
    >>> registry.add("shop", lw.CLV(known))
    1
    >>> registry.promote("shop", 1)
    >>> registry.load("shop").purchases
    BG/NBD fit (r = 0.243, alpha = 4.414, a = 0.793, b = 2.426; 1 draw, ok)
    """

    def __init__(self, folder: str | Path = "models") -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Registry({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        rows = [[name, count, "none" if used is None else f"version {used}"] for name, count, used in self._models()]
        models = cards.table(["name", "versions", "champion"], rows) if rows else cards.note("No models yet.")
        return cards.card("Registry of models", [self.folder], models)

    def names(self) -> list[str]:
        """Return the names that have a version.

        Returns
        -------
        list of str
        """
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if _NAME.fullmatch(p.name) and self.versions(p.name))

    def versions(self, name: str) -> list[int]:
        """Return the versions of a name in ascending order.

        Parameters
        ----------
        name : str
            The name of a model.

        Returns
        -------
        list of int
        """
        folder = self._folder(name)
        if not folder.is_dir():
            return []
        return sorted(int(p.name) for p in folder.iterdir() if re.fullmatch(r"[1-9]\d{0,8}", p.name) and p.is_dir())

    def champion(self, name: str) -> int | None:
        """Return the version that is in use.

        Parameters
        ----------
        name : str
            The name of a model.

        Returns
        -------
        int or None
            The version; None if no version was promoted.
        """
        history = self._history(name)
        return history[-1]["version"] if history else None

    def path(self, name: str, version: int | str = "champion") -> Path:
        """Return the folder of a version.

        Parameters
        ----------
        name : str
            The name of a model.
        version : int or str, default "champion"
            The version.

        Returns
        -------
        Path

        Raises
        ------
        SourceError
            If there is no such version.
        """
        if version == "champion":
            found = self.champion(name)
            if found is None:
                raise SourceError(f"{self.folder} has no champion of {name!r}{self._instead(name)}.")
            version = found
        if version not in self.versions(name):
            raise SourceError(f"{self.folder} has no version {version} of {name!r}{self._instead(name)}.")
        return self._folder(name) / str(version)

    def load(self, name: str, version: int | str = "champion") -> CLV:
        """Load a version.

        Parameters
        ----------
        name : str
            The name of a model.
        version : int or str, default "champion"
            The version.

        Returns
        -------
        CLV

        Raises
        ------
        SourceError
            If there is no such version.
        UsageError
            If it contains only a model of spend.
        """
        model = load(self.path(name, version))
        if isinstance(model, PurchaseFit):
            return CLV(model)
        if not isinstance(model, CLV):
            raise UsageError(
                f"{self.path(name, version)} contains only a model of spend, which cannot score customers."
            )
        return model

    def add(self, name: str, clv: CLV) -> int:
        """Save a model as a new version.

        Parameters
        ----------
        name : str
            The name of the model.
        clv : CLV
            The model.

        Returns
        -------
        int
            The number of the new version; that of the last version, if it is the same model.
        """
        with self._change(name):
            versions = self.versions(name)
            if versions and fingerprints.of_clv(self.load(name, versions[-1])) == fingerprints.of_clv(clv):
                return versions[-1]
            version = max(versions, default=0) + 1
            clv.save(self._folder(name) / str(version))
            return version

    def promote(self, name: str, version: int, force: bool = False) -> None:
        """Make a version the champion.

        Parameters
        ----------
        name : str
            The name of the model.
        version : int
            The version.
        force : bool, default False
            Whether to promote a version whose fit failed its diagnostics.

        Raises
        ------
        FitError
            If its fit failed its diagnostics and `force` is False.
        """
        with self._change(name):
            verdict = self.load(name, version).verdict
            if verdict == "fail" and not force:
                raise FitError(
                    f"Version {version} of {name!r} failed its diagnostics and was not promoted: fit it again, or "
                    "promote it with force."
                )
            history = self._history(name)
            if not history or history[-1]["version"] != version:
                self._write(name, [*history, {"version": version, "since": _now()}])

    def roll_back(self, name: str) -> int:
        """Make the previous champion the champion again.

        Parameters
        ----------
        name : str
            The name of the model.

        Returns
        -------
        int
            Its version.

        Raises
        ------
        UsageError
            If there is no previous champion.
        """
        with self._change(name):
            history = self._history(name)
            if len(history) < 2:
                raise UsageError(f"{name!r} has no previous champion: there is nothing to roll back to.")
            self.path(name, history[-2]["version"])  # it still exists
            self._write(name, history[:-1])
            return int(history[-2]["version"])

    def show(self, name: str) -> pd.DataFrame:
        """Return the versions of a name as a table.

        Parameters
        ----------
        name : str
            The name of a model.

        Returns
        -------
        DataFrame
            One row per version: version, champion, family, verdict, customers, observation_end, created.
        """
        self.path(name, self.versions(name)[-1] if self.versions(name) else 1)
        champion = self.champion(name)
        rows = []
        for version in self.versions(name):
            fit = self.load(name, version)
            rows.append(
                {
                    "version": version,
                    "champion": version == champion,
                    "family": fit.purchases.family.name,
                    "verdict": fit.verdict,
                    "customers": fit.purchases.origin.customers,
                    "observation_end": fit.purchases.origin.observation_end,
                    "created": fit.purchases.origin.created,
                }
            )
        return pd.DataFrame(rows)

    def models(self) -> pd.DataFrame:
        """Return all models as a table.

        Returns
        -------
        DataFrame
            One row per model: name, versions, champion (missing if there is none).
        """
        return pd.DataFrame(self._models(), columns=["name", "versions", "champion"]).astype({"champion": "Int64"})

    def _models(self) -> list[tuple[str, int, int | None]]:
        return [(name, len(self.versions(name)), self.champion(name)) for name in self.names()]

    def compare(self, name: str, version: int | str, other: int | str = "champion") -> pd.DataFrame:
        """Compare the parameters of two versions.

        Parameters
        ----------
        name : str
            The name of a model.
        version : int or str
            A version.
        other : int or str, default "champion"
            The version to compare it with.

        Returns
        -------
        DataFrame
            By parameter: mean and sd of `other` and of `version`, and drift: how far the mean has moved, in standard
            deviations of the difference.

        Raises
        ------
        UsageError
            If the versions differ in family or time unit.
        """
        old, new = self.load(name, other), self.load(name, version)
        rows: dict[str, dict[str, float]] = {}
        for before, after in ((old.purchases, new.purchases), (old.spend, new.spend)):
            if before is None or after is None:
                continue
            if before.family != after.family or before.time_unit != after.time_unit:
                raise UsageError(f"Versions {other} and {version} of {name!r} differ in family or unit of time.")
            for parameter, values in before.draws.items():
                rows[parameter] = _beside(values, after.draws[parameter])
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not a valid name of a model: use up to 100 letters, digits and . _ -.")
        return self.folder / name

    def _instead(self, name: str) -> str:
        found = self.versions(name)
        if found:
            return f"; it has the versions {', '.join(map(str, found))}"
        return f"; it has models named {', '.join(self.names())}" if self.names() else "; it is empty"

    def _history(self, name: str) -> list[dict[str, Any]]:
        """The champions in chronological order, the current one last."""
        path = self._folder(name) / _CHAMPION
        try:
            history = _read_history(path)
            if all(type(entry["version"]) is int for entry in history):
                return list(history)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(f"{path} is damaged: delete it, and promote a version again.") from error
        raise DataError(f"{path} is damaged: delete it, and promote a version again.")

    def _write(self, name: str, history: list[dict[str, Any]]) -> None:
        with replacing(self._folder(name) / _CHAMPION) as temporary:
            content = with_checksum({"champions": history})
            temporary.write_text(json.dumps(content, indent=1) + os.linesep, encoding="utf-8")

    @contextmanager
    def _change(self, name: str) -> Iterator[None]:
        with locked(self._folder(name) / ".lock", f"A change of {name!r}", wait=True):
            clear(self._folder(name))
            yield


def _read_history(path: Path) -> list[dict[str, Any]]:
    """Read the champions from a file with a checksum, or from a list as earlier versions wrote it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    history = content if isinstance(content, list) else read_checked(path)["champions"]
    return list(history)


def _beside(before: Any, after: Any) -> dict[str, float]:
    means, spreads = (before.mean(), after.mean()), (before.std(), after.std())
    spread = float(np.hypot(*spreads))
    gone = float(means[1] - means[0])
    return {
        "before": float(means[0]),
        "before_sd": float(spreads[0]),
        "after": float(means[1]),
        "after_sd": float(spreads[1]),
        "drift": gone / spread if spread > 0 else (0.0 if gone == 0 else float("inf") * np.sign(gone)),
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
