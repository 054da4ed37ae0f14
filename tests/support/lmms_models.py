"""Model classes of lmms-eval for tests: a simple and a chat one with scripted answers, and one that replays stored texts."""

from lmms_eval.api.instance import GenerationResult, TokenCounts
from lmms_eval.api.model import lmms


class Scripted(lmms):
    """Answers with the question and the sizes of the images; some words in a question make it go wrong.

    It never mentions beams, as many of lmms-eval's classes do not. calls: the questions of each call.
    """

    is_simple = True

    def __init__(self, pretrained: str, batch_size: int = 1, **kwargs) -> None:
        super().__init__()
        assert kwargs == {}, f"Unexpected kwargs: {kwargs}"
        self.calls: list[list[str]] = []
        print("a line on stdout")

    def generate_until(self, requests):
        self.calls.append([request.args[0] for request in requests])
        return [self.one(*request.args) for request in requests]

    def one(self, question, gen_kwargs, doc_to_visual, doc_id, task, split):
        images = doc_to_visual(self.task_dict[task][split][doc_id])
        assert images, "lmms-eval's simple classes need an image"
        assert {image.mode for image in images} == {"RGB"}
        assert "image_sizes" not in gen_kwargs, "arguments of another request"
        gen_kwargs["image_sizes"] = [image.size for image in images]  # as lmms-eval's own classes do
        if "raise" in question:
            raise KeyError("no such thing")
        if "silent" in question:
            return ""
        if "end" in question:
            return GenerationResult("", TokenCounts(output_tokens=1))
        tokens = gen_kwargs["max_new_tokens"] if "long" in question else 5
        sizes = " ".join(str(image.size) for image in images)
        return GenerationResult(f" {question} {sizes} ", TokenCounts(output_tokens=tokens))

    def loglikelihood(self, requests):
        raise NotImplementedError

    def generate_until_multi_round(self, requests):
        raise NotImplementedError


class ScriptedChat(Scripted):
    """The same as a chat class: it gets messages, and answers with the kinds of their parts."""

    is_simple = False

    def one(self, question, doc_to_messages, gen_kwargs, doc_id, task, split):
        (message,) = doc_to_messages(self.task_dict[task][split][doc_id])
        parts = [str(part["url"].size) if part["type"] == "image" else part["text"] for part in message["content"]]
        return GenerationResult(f"{message['role']}: {' '.join(parts)}", TokenCounts(output_tokens=5))


class Replay(lmms):
    """Answers from texts: task -> item id -> text; "No" where there is none."""

    is_simple = True

    def __init__(self, texts: dict[str, dict[str, str]]) -> None:
        super().__init__()
        self.texts = texts

    def generate_until(self, requests):
        return [self.one(*request.args) for request in requests]

    def one(self, question, gen_kwargs, doc_to_visual, doc_id, task, split):
        document = self.task_dict[task][split][doc_id]
        assert question == document["question"]
        return self.texts[task].get(document["item"], "No")

    def loglikelihood(self, requests):
        raise NotImplementedError

    def generate_until_multi_round(self, requests):
        raise NotImplementedError
