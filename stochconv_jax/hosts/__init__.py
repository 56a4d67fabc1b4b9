"""The processes that train together, on one host or on several: joined, agreed, and ended as one."""
