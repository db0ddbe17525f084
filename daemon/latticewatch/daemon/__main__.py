"""`python -m latticewatch.daemon` is the command `latticewatch`."""

from latticewatch.daemon.cli import main

if __name__ == "__main__":
    main()
