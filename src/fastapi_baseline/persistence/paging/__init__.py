"""How lists are read in parts."""
