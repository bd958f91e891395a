"""Records of custom tables: names to ids, and back."""
