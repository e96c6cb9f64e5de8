"""The parts of `benchmarks/gpu.py`: each measures one thing on one device and yields its figures as they are known."""
