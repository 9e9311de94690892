"""How fast is it? One question a file; kept runs are in `benchmarks/results/`."""
