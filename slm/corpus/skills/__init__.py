"""One module a skill, each with `generate(rng, words) -> Conversation`."""
