"""The pool of aiohttp sessions, the errors it meets, and the token."""
