"""Conversations for `task=completion`: only what the assistant says is learned."""

from random import Random

import torch

from framework import IGNORED, Format, pad, register


@register("format")
class ChatFormat(Format):
    """A list of messages, each with a role (user, assistant) and a content."""

    columns = ("messages",)
    makes = ("ids", "following", "targets", "size", "bytes", "words", "prompt")
    special_tokens = ("<|user|>", "<|assistant|>")

    def tokenizer_texts(self, row):
        return [message["content"] for message in messages_of(row)]

    def from_text(self, text):
        return {"messages": [{"role": "user", "content": text}]}

    def encode(self, row, tokenizer, spec):
        user, assistant = spec.special_ids
        ids, counted, sizes, prompt = [], [], [], 0
        for message in messages_of(row):
            said, mine = tokenizer.encode(message["content"]), message["role"] == "assistant"
            prompt = len(ids) + 1 if mine else prompt
            ids += [assistant if mine else user, *said, spec.end]
            counted += [0] + [int(mine)] * (len(said) + 1)
            sizes += [0, *tokenizer.byte_lengths(said), 0]
        if not mine:  # the assistant is to answer
            ids, counted, sizes, prompt = [*ids, assistant], [*counted, 0], [*sizes, 0], len(ids) + 1
        if len(ids) > spec.max_length:
            raise ValueError(f"{len(ids)} tokens are more than the model takes ({spec.max_length})")
        return {"ids": ids, "counted": counted, "bytes": sizes, "prompt": prompt}

    def collate(self, features, spec, random):
        counted, following = pad([row["counted"][1:] for row in features], 0), pad([row["ids"][1:] for row in features], spec.padding)
        return {
            "ids": pad([row["ids"][:-1] for row in features], spec.padding),
            "following": following,
            "targets": following.masked_fill(counted == 0, IGNORED),
            "bytes": pad([row["bytes"][1:] for row in features], 0) * counted,
            "words": counted,
            "size": torch.tensor([len(row["ids"]) for row in features]),
            "prompt": torch.tensor([row["prompt"] for row in features]),
        }

    def builtin(self, split, seed):
        random = Random(split)
        for _ in range(300 if split == "train" else 30):
            one, two = random.sample("cat dog sun lamp tree bell coin rope".split(), 2)
            turns = [("user", f"Say {one}."), ("assistant", f"{one}!"), ("user", f"Now say {two}."), ("assistant", f"{two}!")]
            yield {"messages": [{"role": role, "content": content} for role, content in turns]}


def messages_of(row):
    messages = row["messages"]
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise ValueError(f"column 'messages' must be a list of messages, and is {messages!r} of type {type(messages).__name__}")
    return messages
