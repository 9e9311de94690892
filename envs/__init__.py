"""Where does it act? Environments: pure `reset` and `step`, physics as fields."""
