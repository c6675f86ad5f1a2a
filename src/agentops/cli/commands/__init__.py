"""The commands, a module each; `root.py` lists them."""
