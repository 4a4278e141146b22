"""What runs a lowered plan: the driving loop, worker threads, jobs and their figures."""
