"""Items: an example of a domain. Copy it, or delete this folder and its tests."""
