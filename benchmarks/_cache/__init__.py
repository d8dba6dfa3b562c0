"""What the benchmark of the cache is made of."""
