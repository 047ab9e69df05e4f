"""AutoTVM for Zebra: tasks, tuners, measuring on the cycle model, logs."""
