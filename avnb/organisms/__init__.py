"""The model organisms: small models with a known training history, how they are trained, and what they do."""
