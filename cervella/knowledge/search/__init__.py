"""The search: finds the passages of the index that fit a query best, and ranks them."""
