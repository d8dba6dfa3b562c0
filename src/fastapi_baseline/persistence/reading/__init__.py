"""How entities are read, one by one and as lists."""
