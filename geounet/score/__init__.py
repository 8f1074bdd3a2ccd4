"""What a map is worth against the truth: class rasters, masks, road lines and polygons.

Pure in the middle (``matrix``, ``boundary``, ``skeleton``, ``counts``, ``bootstrap``, ``buffers``, ``network``,
``apls``, ``overlay``: arrays and geometries in, numbers out), files at the rim (``rasters``, ``vectors``,
``report``, ``write``); ``evaluate`` tells the story.
"""
