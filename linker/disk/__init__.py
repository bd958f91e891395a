"""Files that lose nothing and lead nowhere else."""
