"""How long a server takes for a token.

with backends.start("llama.cpp") as backend:
    print(1 / measure.token_seconds(backend), "tokens/s")
"""

from helpers.backends import Backend


def token_seconds(backend: Backend, tokens: int = 5, tries: int = 15) -> float:
    """Seconds that llama.cpp's server takes for a token of one short answer, by its own clock.

    It is the shortest of several tries, each of a few tokens: whatever else runs on the machine can
    only add to it. The first token is not counted, for it comes out of reading the prompt.
    """
    client = backend.openai()
    fastest = float("inf")
    for _ in range(tries):
        reply = client.completions.create(
            model=backend.model,
            prompt="1",
            max_tokens=tokens + 1,
            temperature=0,
            extra_body={"ignore_eos": True, "cache_prompt": False},
        )
        timings = reply.model_extra["timings"]
        fastest = min(fastest, timings["predicted_ms"] / 1e3 / (timings["predicted_n"] - 1))
    return fastest
