"""``python -m geounet``: the command line where its script is not on the path."""

from geounet.cli import main

main()
