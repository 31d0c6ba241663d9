"""What is kept in SQLite: conversations and the ledger."""
