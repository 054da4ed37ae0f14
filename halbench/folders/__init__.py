"""What runs, trainings and ablations leave on disk. Reports and baselines read it here and nowhere else."""
