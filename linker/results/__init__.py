"""What happened to each job: the results file, the journal, and what resume and undo read from them."""
