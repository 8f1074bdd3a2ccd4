"""geounet turns satellite scenes that are too big for anything else into maps."""

__version__ = "0.1.0"
