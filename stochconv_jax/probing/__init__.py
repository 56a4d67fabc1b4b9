"""Does detail matter on these images? What features of a frozen network tell of it."""
