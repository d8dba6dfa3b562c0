"""Probes of what others do against attacks on tokens, users and sessions."""
