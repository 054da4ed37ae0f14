"""Where responses come from: each module here is one backend with `open_backend(model, options) -> Backend`."""

EXTRAS = {"hf": "hf"}
