"""Model packages: their spec, networks, and the engines that run them."""
