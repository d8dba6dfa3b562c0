"""The benchmark of the data layer: what it measures, with what, and how it is shown."""
