"""A page on which people ask trained networks, look at why, and flag what is wrong."""
