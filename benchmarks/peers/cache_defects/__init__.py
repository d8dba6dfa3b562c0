"""Every defect that the contract of caching guards against, reproduced against its peer."""
