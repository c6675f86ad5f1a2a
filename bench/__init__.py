"""Measures what the documentation claims about speed, memory and start, on the machine it is run on."""
