"""The `llava` adapter: the small LLaVA that ships with vtbench, or any LLaVA checkpoint."""
