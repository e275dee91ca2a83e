"""The process that plays simulated hosts: their catalogue, their machines, their SSH servers."""
