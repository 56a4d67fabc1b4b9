"""Faults of every kind, struck from outside at the true commands: docs/reliability.md.

    python -m benchmarks.faults [--quick]

Every victim is compared to the bit with one that nothing befell.
"""
