"""A synthetic town, drawn from a seed: a scene whose truth is known at every pixel. No photograph is in it."""

from geounet.sample.write import SamplePaths, write_sample

__all__ = ["SamplePaths", "write_sample"]
