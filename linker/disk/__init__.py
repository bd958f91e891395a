"""Files that lose no line, and that are opened only where the user named them."""
