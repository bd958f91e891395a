"""What became of each job: the results file and what is read back from it."""
