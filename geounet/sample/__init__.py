"""A synthetic town, drawn from a seed: a scene whose truth is known at every pixel. No photograph is in it."""
