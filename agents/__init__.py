"""Whole training methods: each `make(env, config)` returns one pure `Agent(init, step, policy)`."""
