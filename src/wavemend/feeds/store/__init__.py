"""Accepted states of feeds on disk: documents, what they say, and which state is in use."""
