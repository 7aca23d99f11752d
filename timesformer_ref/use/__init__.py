"""What people do with a model: classify, features, attention, timelines, export."""
