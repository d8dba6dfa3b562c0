"""Sessions, and the transactions that they are in."""
