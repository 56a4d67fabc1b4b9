"""Photographs that a run has never seen: their classes, in a table and on a page."""
