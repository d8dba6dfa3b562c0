"""Every defect that the library's contract tests guard against, reproduced against its peer."""
