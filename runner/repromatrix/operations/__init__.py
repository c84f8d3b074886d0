"""The arithmetic of single operations: what they are, what is exactly true of them, and which forms give their bits."""
