"""What holds for one kind of machine: profiles, their waves and their gates."""
