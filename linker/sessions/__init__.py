"""The pool of aiohttp sessions."""
