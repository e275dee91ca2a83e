"""`make bench`: figures measured side by side in one run; ratios hold, seconds do not travel."""
