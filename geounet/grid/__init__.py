"""Pure maths of windows, geoboxes, lattices, blocks and blend weights. No file, no network."""
