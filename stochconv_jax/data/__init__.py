"""Images: drawing, reading, splitting, augmenting and batching them."""
