"""Train what wrong answers to challenges return, once, and store it beside them: python tests/store_wrong_models.py"""

from __future__ import annotations

import os

import wrong_answers
from safetensors.torch import save_file

from utils.checks import run_check


def main() -> None:
    os.environ["SEEDS"] = "5"  # train all of them
    stored = {}
    for answer in wrong_answers.wrong_answers():
        wrong_answers.recorded = {}
        verdict = run_check(answer.id, answer.function)
        if wrong_answers.recorded and verdict.seconds > 0.3:  # seconds of processor time; less is not worth a file
            print(answer, *wrong_answers.recorded)
            stored |= wrong_answers.recorded
    tensors = {f"{name}/{part}": value.detach() for name, model in stored.items() for part, value in model.items()}
    save_file({key: value.contiguous() for key, value in tensors.items()}, wrong_answers.MODELS)


if __name__ == "__main__":
    main()
