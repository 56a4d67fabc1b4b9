"""Prediction with several samples, metrics and the report."""
