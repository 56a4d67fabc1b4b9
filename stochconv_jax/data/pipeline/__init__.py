"""From prepared images to batches: order, augmentation, small images and planes."""
