"""The HTTP benchmark: servers and a load, each on a core of its own."""
