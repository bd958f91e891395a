"""The stages connected."""
