"""When hosts may be changed: maintenance windows, their occurrences, and durations as text.

Preview, schedule and executor all ask the same functions, so what was shown is what runs.
"""
