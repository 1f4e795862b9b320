"""The words that sources use for serving programs and weight formats, as this project's."""

import re

from estimator.errors import InputError
from estimator.serving.constants import WeightFormat, serving_stack, weight_format
from estimator.validation.rows import Row

PROGRAMS: tuple[tuple[str, str], ...] = (
    (r"vllm", "vllm"),
    (r"sglang", "sglang"),
    (r"tensorrt|trt-?llm|nvidia nim", "tensorrt-llm"),
    (r"lmdeploy|turbomind", "lmdeploy"),
    (r"gpt-fast", "gpt-fast"),
    (r"exllama", "exllamav2"),
    (r"transformers|hugging ?face|^hf\b|litgpt|lit-gpt", "transformers"),
)
"""Programs by a pattern of their name; LitGPT launches its layers one by one as Transformers do."""
FORMATS: tuple[tuple[str, str], ...] = (
    (r"^(none|no|-|bf16|fp16|bfloat16|float16)?$", ""),
    (r"nvfp4|mxfp4|\bfp4\b", "fp4"),
    (r"fp8|e4m3", "fp8"),
    (r"int8|8.?bit|w8a16|w8$", "int8"),
    (r"awq|int4|nf4|4.?bit|w4a16|gptq g\d+|gptq$", "int4"),
)
"""Weight formats by a pattern of the column `quantization`; none: that of `precision`."""
PRECISIONS = {
    "": "bf16", "bf16": "bf16", "fp16": "bf16", "bfloat16": "bf16", "float16": "bf16",
    "fp8": "fp8", "nvfp4": "fp4", "fp4": "fp4", "mxfp4": "fp4", "int8": "int8", "int4": "int4",
}  # fmt: skip
BITS_PER_WEIGHT = re.compile(r"(\d+(?:\.\d+)?) ?bpw")
EIGHT_BIT_CACHE = ("fp8", "fp4")
"""Formats whose checkpoints carry an 8-bit KV cache (TensorRT-LLM model optimizer)."""


def program_of(row: Row) -> str:
    """The serving program of a row, as `data/serving.json` names it."""
    named = row["framework"].casefold()
    for pattern, program in PROGRAMS:
        if re.search(pattern, named):
            serving_stack(program)
            return program
    known = "vLLM, SGLang, TensorRT-LLM, LMDeploy, gpt-fast, ExLlamaV2, Transformers, LitGPT"
    raise InputError(f"{row.place}: framework {row['framework']!r} is not modelled; known: {known}")


def weights_of(row: Row) -> WeightFormat:
    """How the weights of a row are stored; a stated number of bits per weight is taken as such."""
    text = row["quantization"].casefold()
    if bits := BITS_PER_WEIGHT.search(text):
        return weight_format("int4").model_copy(update={"bits_per_weight": float(bits[1])})
    for pattern, name in FORMATS:
        if re.search(pattern, text):
            return weight_format(name or row.choice("precision", PRECISIONS))
    raise InputError(f"{row.place}: quantization {row['quantization']!r} is not modelled")
