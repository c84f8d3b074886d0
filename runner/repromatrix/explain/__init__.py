"""Why two cells differ: asks for cells (here), and judges files (`judge`)."""
