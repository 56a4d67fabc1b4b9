"""What things cost: python -m benchmarks.NAME measures side by side and keeps the figures."""
