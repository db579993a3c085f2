"""One self-contained HTML page: customer lifetime value, its uncertainty, and how methods performed.

A page is described by a `ReportContent`, in which everything but the title may be left out, and written by
`write_report`. It loads nothing from anywhere, runs no script, and shows every text it is given as text.
"""

from lifeworth.report.content import (
    Comparison,
    ComparisonRow,
    DataAudit,
    FitTable,
    Headline,
    Parameter,
    Picture,
    ReportContent,
    Section,
    Source,
    Table,
    Trap,
)
from lifeworth.report.page import render_report, write_report

__all__ = [
    "Comparison",
    "ComparisonRow",
    "DataAudit",
    "FitTable",
    "Headline",
    "Parameter",
    "Picture",
    "ReportContent",
    "Section",
    "Source",
    "Table",
    "Trap",
    "render_report",
    "write_report",
]
