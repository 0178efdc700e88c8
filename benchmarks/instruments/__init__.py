"""The programs that make load, one module each: how it is called, and what its printed report says."""
