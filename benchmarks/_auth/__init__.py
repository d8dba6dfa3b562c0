"""What the benchmark of authentication is made of."""
