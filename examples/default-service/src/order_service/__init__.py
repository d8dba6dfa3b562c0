"""The order-service."""
