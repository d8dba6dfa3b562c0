"""What the library costs, measured beside what it is built on or replaces, in one run."""
