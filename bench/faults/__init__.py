"""A fault campaign: faults put into training runs on purpose, and how many of them `attribution` finds and names.

Three parts that share no code, joined only by lines of the entrypoint contract: the injector (`inject` and
what it imports) in an environment's own interpreter, the explainer (`explain`: the clean entrypoints and
the product's `repromatrix.explain.judge.sites`), and the judge (`score`, `page`), who alone reads both sides.
"""
