"""Limiters that come along."""
