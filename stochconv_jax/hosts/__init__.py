"""The processes that train together, on one host or on several: they join, agree and end."""
