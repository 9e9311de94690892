"""Does it learn better? One question a file; kept runs are in `benchmarks/results/`."""
