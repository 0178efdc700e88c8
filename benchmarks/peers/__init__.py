"""The servers that are measured, one record each, configured as their own authors would call fair."""
