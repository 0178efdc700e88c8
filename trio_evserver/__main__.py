"""`python -m trio_evserver`."""

from trio_evserver.cli import main

if __name__ == "__main__":
    main()
