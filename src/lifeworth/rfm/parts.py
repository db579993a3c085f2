"""What is kept of transactions that are counted in parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lifeworth.errors import DataError
from lifeworth.rfm.engine import Account


class Parts:
    """Account of all rows, values of the rows that serve as examples, and the customers so far.

    It has the same interface for showing rows as the `Columns` of all rows.
    """

    def __init__(self, names: Iterable[str | None]) -> None:
        self.names = [name for name in names if name is not None]
        self.rows = 0
        self.accounts: list[Account] = []
        self.shown: dict[tuple[str, int], str] = {}
        self.ids: list[pd.Index[Any]] = []
        self.tables: list[dict[str, Any]] = []
        self.resolution = "s"
        self.has_amount = False
        self.notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.rows

    def show(self, name: str, numbers: Iterable[int]) -> list[str]:
        """Return the values of a column in rows of the account, as text."""
        return [self.shown[name, number] for number in numbers]

    def add(self, columns: Any, account: Account, ids: pd.Index[Any], table: dict[str, Any]) -> None:
        """Add a part that has been counted; its customers follow those of the parts before."""
        for reason in range(len(account.counts)):
            count, rows = account.of(reason)
            account.counts[reason, 1 : 1 + len(rows)] += self.rows
            if count:
                for name in self.names:
                    values = columns.show(name, rows)
                    self.shown.update({(name, self.rows + row): value for row, value in zip(rows, values, strict=True)})
        self.accounts.append(account)
        self.resolution, self.has_amount, self.notes = columns.resolution, columns.has_amount, columns.notes
        self.rows += len(columns)
        if not len(ids):
            return
        if self.ids and not self.ids[-1][-1] < ids[0]:
            raise DataError("The rows did not come in ascending order of customers: use pushdown=False.")
        self.ids.append(ids)
        self.tables.append(table)

    @property
    def account(self) -> Account:
        """Return one account of all parts."""
        counts = np.zeros_like(self.accounts[0].counts)
        counts[:, 0] = sum(account.counts[:, 0] for account in self.accounts)
        for reason in range(len(counts)):
            rows = [row for account in self.accounts for row in account.of(reason)[1]][: counts.shape[1] - 1]
            counts[reason, 1 : 1 + len(rows)] = rows
        dated = [account for account in self.accounts if account.dated]
        if not dated:
            return Account(counts, 0, 0, 0, False)
        times = sorted({time for account in dated for time in (account.last, account.last_but_one)})
        return Account(counts, times[-1], times[-2 if len(times) > 1 else -1], min(one.first for one in dated))

    def column(self, name: str) -> Any:
        """Return a column of the tables of all parts, and release it."""
        pieces = [table.pop(name) for table in self.tables]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    @property
    def customer_id(self) -> pd.Index[Any]:
        """Return the ids of all parts."""
        return self.ids[0] if len(self.ids) == 1 else self.ids[0].append(self.ids[1:])
