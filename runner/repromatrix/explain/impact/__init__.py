"""What changes from one environment to another: in training jobs, in operations, and what else moved along."""
