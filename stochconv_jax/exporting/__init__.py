"""A run's network for elsewhere: one program or its weights, with a model card."""
