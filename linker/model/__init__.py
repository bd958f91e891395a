"""What a user asks for: targets, jobs and the records that they link."""
