"""The domains: each is a package with a `router`, found without being listed anywhere."""
