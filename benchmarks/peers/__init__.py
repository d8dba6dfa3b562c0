"""What runs in the environments of the peers: their sides of the benchmarks, and their defects."""
