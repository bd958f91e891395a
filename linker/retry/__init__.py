"""Whether a request is sent again, after how long, and when linker gives up."""
