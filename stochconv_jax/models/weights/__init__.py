"""Weights that others trained: their files, their names, and what becomes of every array."""
