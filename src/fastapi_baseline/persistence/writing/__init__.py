"""How entities are written, one by one and many at once."""
