"""Aha!'s API: its requests, lists and answers. Pure."""
