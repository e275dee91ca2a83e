"""The steps of a rollout, each one thing that is done, written to the ledger, and never twice.

The flow decides nothing: it asks `rollout.next_action` and calls the step that is named.
"""
