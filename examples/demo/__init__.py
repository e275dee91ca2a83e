"""`make demo`: the main job on a fleet that really lags behind, told step by step."""
