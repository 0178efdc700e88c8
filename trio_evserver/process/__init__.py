"""The process around the server: descriptor limits, signals, start and stop."""
