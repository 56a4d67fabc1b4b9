"""A run: its directory, config, data, checkpoints and devices."""
