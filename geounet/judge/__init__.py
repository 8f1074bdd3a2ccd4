"""What a model is worth: whole labelled scenes through ``run``, then through ``score``."""
