"""The seam: what a run leaves behind, and all that a report needs."""
