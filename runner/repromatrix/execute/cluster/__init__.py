"""The workers of a Dask cluster as the place where environments are made and jobs run."""
