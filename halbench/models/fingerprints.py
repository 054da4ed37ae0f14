"""What a model is, whatever its folder is called: a hash over the files of a checkpoint."""

from hashlib import sha256
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

CONTENT_FILES = (
    *("config.json", "adapter_config.json", "generation_config.json", "processor_config.json"),
    *("preprocessor_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"),
    *("chat_template.jinja", "chat_template.json", "vocab.json", "merges.txt", "added_tokens.json"),
    "special_tokens_map.json",
)


SAMPLES, BLOCK = 128, 2**16  # of a weight file, for its fingerprint: 8 MiB at most


def fingerprint(source: str) -> str:
    """What a model is, whatever its folder is called: for a hub name the commit, for a folder a hash over the small
    files and over each weight file's name, size and SAMPLES blocks spread over it (15 GB take well under a second; a merged
    adapter, which changes weights all over the file, shows)."""
    folder = Path(source)
    if not folder.is_dir():
        cached = try_to_load_from_cache(source, "config.json")
        return Path(cached).parent.name if isinstance(cached, str) else "unknown"
    digest = sha256()
    for name in CONTENT_FILES:
        if (folder / name).is_file():
            digest.update(name.encode() + b"\0" + (folder / name).read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            for sample in range(SAMPLES):
                file.seek(max(size - BLOCK, 0) * sample // (SAMPLES - 1))
                digest.update(file.read(BLOCK))
    return digest.hexdigest()[:16]
