"""Studies of several networks and seeds, and their comparison."""
