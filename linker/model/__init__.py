"""What is asked: targets, jobs, records."""
