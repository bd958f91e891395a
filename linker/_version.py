"""The version, alone, so that `linker --version` need import nothing else."""

__version__ = "0.1.0"
