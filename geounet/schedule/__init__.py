"""The unattended run: sources of new scenes, the ledger, publishing.

`once.py` tells the story: look, claim, process, publish, record.
"""
