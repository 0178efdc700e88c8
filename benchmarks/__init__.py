"""The peers and the load: how fast trio_evserver is, beside others, in one command per table.

Nothing here is imported by the server, and nothing here needs more than the standard library: the peers live
in virtual environments of their own. `benchmarks/README.md` says what each row means and where its limits
are.
"""
