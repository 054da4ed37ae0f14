"""Where responses come from: each module here is one backend with `open_backend(model, options) -> Backend`.

A backend that takes `--base-url` or `--model-args` says so: OPTIONS = ("base_url", "model_args").
"""

EXTRAS = {"hf": "hf", "openai": "openai", "vllm": "vllm"}
