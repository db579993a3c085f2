"""The door for transactions: any table in; clean columns, and a full account of every row, out."""

from __future__ import annotations

from typing import Literal

from lifeworth.transactions.amounts import DecimalMark as DecimalMark
from lifeworth.transactions.amounts import check_decimal as check_decimal
from lifeworth.transactions.audit import Audit as Audit
from lifeworth.transactions.layouts import DateForm as DateForm
from lifeworth.transactions.layouts import date_form as date_form
from lifeworth.transactions.naming import columns_named as columns_named
from lifeworth.transactions.parse import factorise_ids as factorise_ids
from lifeworth.transactions.rows import Transactions as Transactions
from lifeworth.transactions.rows import read_transactions as read_transactions
from lifeworth.transactions.rows import wall_clock_edge as wall_clock_edge

Refunds = Literal["net", "drop", "error"]
REFUNDS: tuple[Refunds, ...] = ("net", "drop", "error")

# What becomes of rows that are equal to an earlier one in customer, date and amount.
Duplicates = Literal["keep", "drop"]
DUPLICATES: tuple[Duplicates, ...] = ("keep", "drop")
