"""What the operator sees: access log and diagnostics, written off the event loop."""
