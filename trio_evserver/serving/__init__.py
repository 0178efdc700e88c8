"""Trio: listeners, connections, and the exchange of one request for one response."""
