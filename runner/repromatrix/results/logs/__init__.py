"""Loss logs and golden files of others: one reader a format, each giving named columns of numbers with their steps."""
