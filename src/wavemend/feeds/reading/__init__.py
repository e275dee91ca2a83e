"""Fetching and reading what somebody else wrote: bounded, strict, and with one kind of error."""
