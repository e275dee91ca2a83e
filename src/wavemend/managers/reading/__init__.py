"""What every package manager asks a host, and how its framed answer is read."""
