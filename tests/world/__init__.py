"""One world for the rings that run the whole product: hosts, ledger, Prefect server, worker."""
