"""Programs that embed the server for a measurement which its command line does not offer. Run as scripts."""
