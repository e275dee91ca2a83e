"""Parts for tests of wavemend and of plugins: real ones where they fit, simulated ones elsewhere.

- `transport_contract`: what every transport must keep, as functions that take a transport
- `openssh`: a real sshd on a loopback port, run as the current user
- `bad_servers`: servers that are silent, stall or forget, for the bounds
- `simulated_hosts`: a fleet of simulated Debian hosts, where no real ones can run
"""
