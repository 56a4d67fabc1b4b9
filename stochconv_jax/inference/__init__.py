"""Trained networks and what they say of images: logits for every draw of windows."""
