"""What geounet costs: ``python -m tests.benchmarks`` (``make bench``) measures it and writes docs/benchmarks.md.

Every number is a ratio where that is possible, and its two sides run in turn, so that a machine that slows down
slows down both. Nothing here asserts on a clock.
"""
