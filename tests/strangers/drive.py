"""Trains, evaluates and predicts with each of the tasks in `plugins/` of the current folder; writes outcomes.json."""

import json
from collections.abc import Callable
from pathlib import Path

from framework import UserError, load, train
from framework.__main__ import main as export
from framework.workflows.evaluate import evaluate

SMALL = ["logger=csv", "task.baseline=false", "trainer.max_epochs=1", "data.limit=48"]
TEXTS = {
    "embedding": "The cat sees the lamp and the bell.",
    "two_heads": "the cat sees a dog",
    "featured": "run can ||| 0.25 0.75",
    "correction": "the dog see an egg",
    "completion": "Say bell.",
    "preference": "Ada gives a gift to Bob.",
}


def outcome(name: str, *words: str) -> dict[str, object]:
    run = train([f"task={name}", *words])
    predictor = load(run.folder)
    return {
        "run": str(run.folder),
        "trained": json.loads((run.folder / "metrics.json").read_text()),
        "evaluated": evaluate(run.folder, []),
        "answers": predictor.predict([TEXTS[name]] * 2),
        "columns": (run.folder / "metrics.csv").read_text().splitlines()[0].split(","),
        "weights": sorted(predictor.task.state_dict()),
    }


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except UserError as error:
        return str(error)
    return ""


def main() -> None:
    outcomes = {name: outcome(name, *SMALL) for name in ("embedding", "two_heads", "featured", "correction")}
    writer = ["model=mine_writer", "data.batches.budget=1024", *SMALL]
    outcomes["chat"] = outcome("completion", "task/format=chat", "data/batches=buckets", "tokenizer=characters", *writer)
    names = "Ada Bob Cleo Dan".split()
    rows = [{"prompt": f"{a} gives a gift to {b}.", "completion": f"Thank you, {a}."} for a in names for b in names if a != b]
    Path("gifts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows * 5), encoding="utf-8")
    files = ["data=files", "data.train=gifts.jsonl", "data/batches=buckets", "tokenizer=characters"]
    outcomes["reference"] = outcome("completion", "task/format=prompted", *files, *writer)
    reference = outcomes["reference"]["run"]
    begin = [f"task.reference={reference}", f"model.pretrained={reference}"]
    outcomes["preference"] = outcome("preference", *begin, "optimizer.lr=5e-3", *SMALL)
    small = ["model.dim=32", "model.num_heads=2", "model.num_layers=1", "model.max_length=64"]
    gpt2 = train(["task=completion", "task/format=prompted", "model=gpt2", *files, *small, *SMALL])
    assert export(["export", str(gpt2.folder), "to=huggingface", "folder=published"]) == 0
    published = outcome("preference", "task.reference=published", "model.pretrained=published", "optimizer.lr=0.0", *SMALL)
    outcomes["published"] = published
    preference, messages = Path(str(outcomes["preference"]["run"])), {}
    messages["tokenizers"] = refusal(lambda: train(["task=preference", begin[0], f"model.pretrained={outcomes['chat']['run']}", *SMALL]))
    messages["none"] = refusal(lambda: train(["task=preference", *SMALL]))
    messages["accumulation"] = refusal(lambda: train(["task=embedding", "trainer.accumulate_grad_batches=2", *SMALL]))
    messages["format"] = refusal(lambda: train(["task=classification", "task/format=chat", *SMALL]))
    Path(str(reference)).rename("moved")
    messages["moved"] = refusal(lambda: evaluate(preference, []))
    answers = load(preference).predict([TEXTS["preference"]] * 2)
    outcomes["moved"] = {"evaluated": evaluate(preference, ["task.reference=moved"]), "answers": answers}
    resumed = train([f"resume={preference}", "task.reference=moved", "trainer.max_epochs=2"])
    outcomes["resumed"] = {"trained": json.loads((resumed.folder / "metrics.json").read_text()), "messages": messages}
    Path("outcomes.json").write_text(json.dumps(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
