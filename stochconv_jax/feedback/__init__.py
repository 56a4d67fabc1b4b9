"""What people say of predictions that were wrong, kept until a network is trained with it."""
