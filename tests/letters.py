"""A tokenizer for tests whose ids can be read: one token a character."""


class Letters:
    """One token a character."""

    def encode(self, text: str, at_least: int | None = None) -> list[int]:
        return [ord(letter) for letter in text]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        return self.encode(text), [(at, at + 1) for at in range(len(text))]

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(id) for id in ids if id > 9)

    def byte_lengths(self, ids: list[int]) -> list[int]:
        return [len(chr(id).encode()) for id in ids]
