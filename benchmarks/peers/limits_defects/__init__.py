"""Every defect that the contract of rate limiting guards against, reproduced against its peer."""
