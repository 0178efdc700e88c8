"""RFC 9110, HTTP semantics: pure values and functions, no I/O, no clock, no randomness."""
