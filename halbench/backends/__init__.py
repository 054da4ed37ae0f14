"""Where responses come from: each module here is one backend with `open_backend(model, options) -> Backend`.

A backend that takes `--base-url`, `--model-args` or something after its name and a colon (`lmms:llava_hf`) declares it:
OPTIONS = ("base_url", "model_args", "engine").
"""

EXTRAS = {"hf": "hf", "openai": "openai", "vllm": "vllm", "lmms": "lmms-eval"}
