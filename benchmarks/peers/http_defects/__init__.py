"""Every defect that the HTTP stack's contract guards against, reproduced against its peer."""
