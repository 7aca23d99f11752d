"""Fine-tuning: data, recipe and loop; Accelerate runs the devices."""
