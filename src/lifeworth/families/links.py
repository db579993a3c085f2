"""How a linear predictor of covariates changes the parameters of a family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Link(Protocol):
    """How the linear predictor eta of a group of customers changes some parameters."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters it changes."""
        ...

    @property
    def ratio(self) -> str:
        """What exp(coefficient) is the ratio of."""
        ...

    def shifted(self, values: Mapping[str, Any], eta: Any) -> dict[str, Any]:
        """The changed parameters, of base values and predictors that broadcast."""
        ...

    def slopes(
        self, values: Mapping[str, Any], eta: Array, slope: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """Chain rule: from slopes in the logs of the groups' parameters to those in eta and in the logs of base values.

        Parameters
        ----------
        values : base parameters; eta : (groups,); slope : parameter -> (groups,).

        Returns
        -------
        slope in eta, (groups,), and base parameter -> slope in its log, (groups,).
        """
        ...


@dataclass(frozen=True)
class LogShift:
    """Parameter times exp(sign eta): rates (alpha, beta) are divided, amounts multiplied."""

    parameter: str
    sign: int
    ratio: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """The one."""
        return (self.parameter,)

    def shifted(self, values: Mapping[str, Any], eta: Any) -> dict[str, Any]:
        """As `Link.shifted`."""
        with np.errstate(over="ignore"):
            return {self.parameter: values[self.parameter] * np.exp(self.sign * eta)}

    def slopes(
        self, values: Mapping[str, Any], eta: Array, slope: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """As `Link.slopes`."""
        own = slope[self.parameter]
        return self.sign * own, {self.parameter: own}


@dataclass(frozen=True)
class LogitShift:
    """Logit of the mean a / (a + b) plus eta; the concentration a + b stays."""

    first: str
    second: str
    ratio: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Both."""
        return (self.first, self.second)

    def shifted(self, values: Mapping[str, Any], eta: Any) -> dict[str, Any]:
        """As `Link.shifted`."""
        a, b = values[self.first], values[self.second]
        logit = np.log(a) - np.log(b) + eta
        with np.errstate(over="ignore"):
            return {self.first: (a + b) / (1 + np.exp(-logit)), self.second: (a + b) / (1 + np.exp(logit))}

    def slopes(
        self, values: Mapping[str, Any], eta: Array, slope: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """As `Link.slopes`."""
        a, b = values[self.first], values[self.second]
        mean = a / (a + b)
        share = self.shifted(values, eta)[self.first] / (a + b)
        of_a, of_b = slope[self.first], slope[self.second]
        along = of_a * (1 - share) - of_b * share
        of_both = of_a + of_b
        return along, {self.first: along + of_both * mean, self.second: of_both * (1 - mean) - along}
