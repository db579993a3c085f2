"""The rows of transactions that can be used, as the tests of reading look at them."""

from lifeworth.rfm.log import TransactionLog
from lifeworth.transactions import Reading, UsableRows


def read_transactions(data, customer_id="customer_id", date="date", amount="amount", **options):
    """The usable rows of any table, by the one reader of transactions."""
    return UsableRows.of(TransactionLog(data, Reading(customer_id, date, amount, **options)).rows())
