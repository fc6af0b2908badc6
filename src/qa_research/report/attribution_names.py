"""The methods that attribute an answer to its words, as people read them. Imports nothing."""

NAMES = {"gradients": "Integrated gradients", "erasure": "Word erasure", "lime": "LIME"}
