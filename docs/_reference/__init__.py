"""Makes the pages of the reference from the code; `hook.py` gives them to mkdocs."""
