"""Prepared images as they are read: manifest, records, splits."""
