"""Records of custom tables: names to ids and back, fields, and records that are created."""
