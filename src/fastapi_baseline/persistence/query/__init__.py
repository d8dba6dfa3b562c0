"""What clients may ask of a list, as one model."""
