"""Programs that measure other libraries. Each runs by itself, where that library is installed."""
