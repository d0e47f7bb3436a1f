"""The seeded worlds the agents of lessons 01 to 04 act in, one module a world."""
