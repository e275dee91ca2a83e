"""The tools of a simulated Debian host: apt-get, dpkg and their relatives, in Python.

They run as programs of their own, many per look at a host, so they import the standard library
alone and little of it. `run.py` is their common entry; `store.py` is what a host remembers.
"""
