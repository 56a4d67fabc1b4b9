"""From photographs and tables as they were downloaded to images of one size and their manifest."""
