"""Why a network says what it says: maps of an image, and how far each can be trusted."""
