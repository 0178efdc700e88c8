"""The disk: opening inside the root, caching, and reading ahead in bounded worker threads."""
