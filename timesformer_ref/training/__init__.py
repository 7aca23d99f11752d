"""Fine-tuning and training: our own part is data, recipe and model; Accelerate runs the devices."""
