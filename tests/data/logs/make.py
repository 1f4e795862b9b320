"""Makes the logs of this folder: a real Trainer on a tiny model, timed from outside as well.

    python tests/data/logs/make.py FOLDER

Needs the extra `benchmark` and accelerate. `trainer_state.json` counts tokens and so times its
steps; `trainer_state_untimed.json` does not; `trainer_log.jsonl` has the fields that LLaMA-Factory
writes. `clock.json` holds the seconds between the ends of consecutive steps of both runs, by a
callback of our own: what the readers must agree with.
"""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

LENGTH, MICRO_BATCH, ACCUMULATION, STEPS = 128, 2, 2, 120


class Clock(TrainerCallback):
    def __init__(self):
        self.start, self.ends, self.records = 0.0, [], []

    def on_train_begin(self, args, state, control, **_):
        self.start = time.time()

    def on_step_end(self, args, state, control, **_):
        self.ends.append(time.time() - self.start)

    def on_log(self, args, state, control, **_):
        last, elapsed = state.log_history[-1], time.time() - self.start
        record = {
            "current_steps": state.global_step,
            "total_steps": state.max_steps,
            "loss": last.get("loss"),
            "eval_loss": last.get("eval_loss"),
            "lr": last.get("learning_rate"),
            "epoch": last.get("epoch"),
            "elapsed_time": str(timedelta(seconds=int(elapsed))),
        }
        if state.num_input_tokens_seen:
            record["throughput"] = round(state.num_input_tokens_seen / elapsed, 2)
            record["total_tokens"] = state.num_input_tokens_seen
        self.records.append({key: value for key, value in record.items() if value is not None})


class Random(torch.utils.data.Dataset):
    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return self.examples

    def __getitem__(self, i):
        ids = torch.randint(0, 512, (LENGTH,), generator=torch.Generator().manual_seed(i))
        return {"input_ids": ids, "labels": ids}


def train(folder, count_tokens):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    clock = Clock()
    arguments = TrainingArguments(
        output_dir=str(folder / "run"),
        max_steps=STEPS,
        per_device_train_batch_size=MICRO_BATCH,
        gradient_accumulation_steps=ACCUMULATION,
        logging_steps=5,
        eval_strategy="steps",
        eval_steps=40,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        include_num_input_tokens_seen=count_tokens,
    )
    trainer = Trainer(
        model=LlamaForCausalLM(config),
        args=arguments,
        train_dataset=Random(1200),
        eval_dataset=Random(60),
        callbacks=[clock],
    )
    trainer.train()
    trainer.save_state()
    return (folder / "run" / "trainer_state.json").read_text("utf-8"), clock


folder = Path(sys.argv[1])
timed, clock = train(folder, "all")
untimed, other = train(folder, "no")
(folder / "trainer_state.json").write_text(timed, "utf-8")
(folder / "trainer_state_untimed.json").write_text(untimed, "utf-8")
(folder / "trainer_log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in clock.records))
ends = {"timed": clock.ends, "untimed": other.ends}
(folder / "clock.json").write_text(json.dumps(ends) + "\n", "utf-8")
