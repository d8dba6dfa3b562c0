"""Resources that are added to a service: what they are, and the files that make them."""
