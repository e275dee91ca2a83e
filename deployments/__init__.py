"""Maintenance windows as Prefect deployments, and the automations that go with them."""
