"""Keeps data in SQLite: conversations, and the ledger of calls and costs."""
