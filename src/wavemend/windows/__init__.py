"""What every part that speaks to Windows rests on: scripts, their contracts, jobs, result codes.

Nothing here was run on a real Windows host; docs/how-to/patch-windows.md says what that means.
"""
