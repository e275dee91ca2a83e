"""Flows: order only. One flow per file; the stem is verb_noun and shadows no module."""
