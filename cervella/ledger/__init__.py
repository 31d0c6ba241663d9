"""What it cost: one row for every call of an engine, its price, and what may still be spent."""

from cervella.ledger.budget import Limit
from cervella.ledger.ledger import Ledger
from cervella.ledger.prices import Cost, Prices
from cervella.ledger.rows import Feedback, Row
from cervella.ledger.statistics import BrainStatistics, Statistics, percentile, statistics_of

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
