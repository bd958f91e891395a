"""Lets `python -m linker` run the `linker` command."""

from linker.cli import main

if __name__ == "__main__":
    main()
