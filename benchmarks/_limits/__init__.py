"""What the benchmark of the limits is made of."""
