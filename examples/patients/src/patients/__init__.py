"""The patients."""
