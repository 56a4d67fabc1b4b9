"""Weights that others trained: their names, their files, and how they become ours."""
