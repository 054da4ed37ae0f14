"""A real HTTP server that speaks the chat part of OpenAI's protocol and answers by a script.

    with JudgeServer(lambda prompt, time: reply("Rating: 3")) as server:
        judge(..., JudgeOptions("m", base_url=server.url), ...)
    server.requests  # the bodies that came, in order

The script gets the text of the last message and how often that text came before. Of a message with images, the text is its
text part. `models` are the names that the server lists.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

BROKEN_PIPE = (BrokenPipeError, ConnectionResetError)


@dataclass(frozen=True)
class Answer:
    """What goes back: status, headers and body, after a wait of so many seconds and until `when` is true."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    when: Callable[[], bool] = lambda: True


NEVER = Answer(b"", when=lambda: False)
"""For a server that hangs: the request is held until the server closes."""


def reply(
    text: str | None,
    served: str = "m",
    finish: str = "stop",
    refusal: str | None = None,
    usage: tuple[int, int] | None = None,
    **answer: Any,
) -> Answer:
    """A chat completion that says `text`. usage: tokens of prompt and completion."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": served, "choices": [choice]}
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return Answer(body, **answer)


def failure(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error as OpenAI words it. Header names are given with underscores."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer({"error": {"message": message, "type": "error", "code": code}}, status, names)


class JudgeServer:
    """Listens on a free local port as long as its `with` block lasts."""

    def __init__(self, script: Callable[[str, int], Answer], models: Sequence[str] = ()) -> None:
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.busiest = 0  # most requests that were open at once
        times: dict[str, int] = {}
        self.closing = threading.Event()
        lock = threading.Lock()
        server = self
        self.open = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two packets; the second would wait 40 ms

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = text_of(request["messages"][-1]["content"])
                with lock:
                    server.requests.append(request)
                    server.authorizations.append(self.headers["Authorization"])
                    server.open += 1
                    server.busiest = max(server.busiest, server.open)
                    answer = script(prompt, times.get(prompt, 0))
                    times[prompt] = times.get(prompt, 0) + 1
                if self.path != "/v1/chat/completions":
                    answer = failure(404, "no such path")
                server.closing.wait(answer.wait_s)
                while not answer.when() and not server.closing.wait(0.005):
                    pass
                with lock:
                    server.open -= 1
                self.send(answer)

            def do_GET(self) -> None:
                self.send(Answer({"data": [{"id": name} for name in models]}) if models else failure(404, "no list"))

            def send(self, answer: Answer) -> None:
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **answer.headers}
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except BROKEN_PIPE:
                    pass  # the client gave up waiting, which some tests want

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def __enter__(self) -> "JudgeServer":
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def prompts(self) -> list[str]:
        """The texts that came, in order."""
        return [text_of(request["messages"][-1]["content"]) for request in self.requests]


def text_of(content: Any) -> str:
    """The text of a message's content, which is that text or a list of parts."""
    return content if isinstance(content, str) else next(part["text"] for part in content if part["type"] == "text")
