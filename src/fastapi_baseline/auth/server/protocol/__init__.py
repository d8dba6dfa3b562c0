"""The protocol itself: what is sent, what is checked, and what is answered (RFC 6749, RFC 9700)."""
