"""Records every call of an engine in one row, computes its cost, and keeps the budgets."""

from cervella.records.ledger.budget import Limit
from cervella.records.ledger.ledger import Ledger
from cervella.records.ledger.prices import Cost, Prices
from cervella.records.ledger.rows import Feedback, Row
from cervella.records.ledger.statistics import BrainStatistics, Statistics, percentile, statistics_of

__all__ = [
    "BrainStatistics",
    "Cost",
    "Feedback",
    "Ledger",
    "Limit",
    "Prices",
    "Row",
    "Statistics",
    "percentile",
    "statistics_of",
]
