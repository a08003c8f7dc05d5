#!/usr/bin/env python3
"""attune serve as the real `openai` client meets it: chat, streams, stops, seeds, log probabilities, adapters, errors.

    serve_test.py PROGRAM
"""
import concurrent.futures
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

try:
    import openai
except ImportError:
    print("SKIP: the openai client is not installed; ./dev test installs tests/requirements.txt into .venv")
    sys.exit(77)

import toy
from server import Server, with_positions

PROGRAM = None
# Greedy answers of the toy go on without end; should it be another toy one day, random ones last by chance.
LASTING = (0, 1.5)
SAID = [{"role": "user", "content": "the sea is calm"}]


def client_of(server, key="none"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, timeout=60)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM, steps=100)
        toy.make_adapter(PROGRAM)
        shutil.copytree("run/adapter", "second", dirs_exist_ok=True)
        with_positions("base/model", "long", 100000)

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()


class Client(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Server(PROGRAM, "long", "--context", 2000, "--adapter", "pete=run/adapter", "--adapter", "two=second",
                            "--max-tokens", 24)
        cls.client = client_of(cls.server)

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        super().tearDownClass()
        assert status == 0, cls.server.output

    def chat(self, **options):
        options = {"model": "long", "messages": SAID, "temperature": 0, "max_tokens": 20, **options}
        return self.client.chat.completions.create(**options)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["long", "pete", "two"])
        self.assertEqual(self.client.models.retrieve("pete").id, "pete")
        self.assertEqual({model.max_model_len for model in self.client.models.list()}, {2000})
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("paul")

    def test_chat(self):
        reply = self.chat()
        self.assertEqual(reply.object, "chat.completion")
        self.assertEqual(reply.model, "long")
        self.assertEqual(reply.choices[0].message.role, "assistant")
        self.assertIn(reply.choices[0].finish_reason, ("stop", "length"))
        usage = reply.usage
        self.assertLessEqual(usage.completion_tokens, 20)
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)

    def test_a_greedy_answer_is_that_of_generate(self):
        for model, options in (("long", ()), ("pete", ("--adapter", "run/adapter"))):
            wanted = toy.attune(PROGRAM, "generate", "long", "--prompt", SAID[0]["content"], "--temperature", 0,
                                "--max-tokens", 20, *options)[0]
            self.assertEqual(self.chat(model=model).choices[0].message.content + "\n", wanted)

    def test_a_stream_is_the_answer_in_pieces(self):
        whole = self.chat(seed=3, temperature=1.2)
        chunks = list(self.chat(seed=3, temperature=1.2, stream=True, stream_options={"include_usage": True}))
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)
        self.assertEqual({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.completion_tokens, whole.usage.completion_tokens)
        self.assertEqual(chunks[-2].choices[0].finish_reason, whole.choices[0].finish_reason)
        self.assertTrue(all(chunk.choices[0].finish_reason is None for chunk in chunks[:-2]))
        self.assertIsNone(list(self.chat(stream=True))[-1].usage)

    def test_seed(self):
        def say(seed):
            return self.chat(seed=seed, temperature=1.5).choices[0].message.content
        self.assertEqual(say(1), say(1))
        self.assertGreater(len({say(seed) for seed in range(5)}), 1)

    def test_stop(self):
        text = self.chat(temperature=1.5, seed=4, max_tokens=60).choices[0].message.content
        stop = text[len(text) // 2:len(text) // 2 + 2]
        for stream in (False, True):
            reply = self.chat(temperature=1.5, seed=4, max_tokens=60, stop=["never comes", stop], stream=stream)
            if stream:
                chunks = list(reply)
                got = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
                reason = chunks[-1].choices[0].finish_reason
            else:
                got, reason = reply.choices[0].message.content, reply.choices[0].finish_reason
            self.assertEqual(got, text[:text.index(stop)])
            self.assertEqual(reason, "stop")

    def test_log_probabilities(self):
        reply = self.chat(logprobs=True, top_logprobs=3)
        content = reply.choices[0].logprobs.content
        self.assertEqual(len(content), reply.usage.completion_tokens)
        for token in content:
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertEqual(token.top_logprobs[0].token, token.token)  # greedy
            self.assertEqual(token.top_logprobs[0].logprob, token.logprob)
        raw = re.sub(rb"<[|]\w+[|]>", b"", b"".join(bytes(token.bytes) for token in content))  # special ones do not show
        self.assertEqual(raw.decode(errors="replace").strip(), reply.choices[0].message.content.strip())
        self.assertGreater(len(raw), 10)
        chunks = list(self.chat(logprobs=True, stream=True))
        streamed = [token for chunk in chunks if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
        self.assertEqual([token.logprob for token in streamed], [token.logprob for token in content])

    def test_max_tokens(self):
        for seed in range(20):
            reply = self.chat(max_tokens=3, temperature=1.5, seed=seed)
            if reply.choices[0].finish_reason == "length":
                self.assertEqual(reply.usage.completion_tokens, 3)
                return
        self.fail("no answer was cut")

    def test_penalties_forbid_repetition(self):
        tokens = self.chat(max_tokens=30, presence_penalty=2, frequency_penalty=2, temperature=0.01, seed=1, logprobs=True)
        seen = [token.token for token in tokens.choices[0].logprobs.content]
        plain = [t.token for t in self.chat(max_tokens=30, temperature=0.01, seed=1, logprobs=True).choices[0].logprobs.content]
        self.assertGreaterEqual(len(set(seen)) / len(seen), len(set(plain)) / len(plain))

    def test_completions(self):
        options = {"model": "long", "prompt": "the sea", "max_tokens": 8, "temperature": 0}
        reply = self.client.completions.create(**options, logprobs=2)
        self.assertEqual(reply.object, "text_completion")
        logprobs = reply.choices[0].logprobs
        self.assertEqual(len(logprobs.tokens), reply.usage.completion_tokens)
        self.assertTrue(all(1 <= len(top) <= 2 for top in logprobs.top_logprobs))
        text = "".join(chunk.choices[0].text for chunk in self.client.completions.create(**options, stream=True))
        self.assertEqual(text, reply.choices[0].text)
        wanted = toy.attune(PROGRAM, "generate", "long", "--raw", "--prompt", "the sea", "--temperature", 0, "--max-tokens", 8)[0]
        self.assertEqual(text + "\n", wanted)
        by_tokens = self.client.completions.create(model="long", prompt=[5, 6, 7], max_tokens=2)
        self.assertEqual(by_tokens.usage.prompt_tokens, 3)

    def test_many_at_once_answer_as_if_alone(self):
        requests = [{"model": ("long", "pete", "two")[i % 3], "temperature": (0, 1.2)[i % 2], "seed": i,
                     "messages": [{"role": "user", "content": " ".join(toy.WORDS[:3 + i])}], "logprobs": True}
                    for i in range(18)]

        def answer(request):
            choice = self.chat(**request).choices[0]
            return choice.message.content, [token.logprob for token in choice.logprobs.content]
        alone = [answer(request) for request in requests]
        with concurrent.futures.ThreadPoolExecutor(18) as pool:
            together = list(pool.map(answer, requests))
        self.assertEqual(together, alone)
        self.assertEqual(alone[1::3][0], alone[1::3][0])

    def test_prefix_is_reused(self):
        messages = [{"role": "user", "content": " ".join(toy.WORDS * 6)}]
        first = self.chat(messages=messages)
        again = self.chat(messages=messages)
        self.assertEqual(first.choices[0].message.content, again.choices[0].message.content)
        self.assertGreaterEqual(again.usage.prompt_tokens_details.cached_tokens, 64)

    def test_errors(self):
        def error(kind, **options):
            with self.assertRaises(kind) as caught:
                self.chat(**options)
            return caught.exception
        missing = error(openai.NotFoundError, model="pte")
        self.assertEqual((missing.code, missing.param), ("model_not_found", "model"))
        self.assertIn("did you mean pete?", missing.message)
        long = error(openai.BadRequestError, messages=[{"role": "user", "content": "sea " * 3000}])
        self.assertEqual(long.code, "context_length_exceeded")
        self.assertRegex(long.message, r"\[prompt\] has \d+ tokens and the context 2000, which must hold the answer too")
        self.assertEqual(error(openai.BadRequestError, temperature=9).param, "temperature")
        self.assertEqual(error(openai.BadRequestError, messages=[]).param, "messages")
        self.assertEqual(error(openai.BadRequestError, n=3).param, "n")
        self.assertEqual(error(openai.BadRequestError, tools=[{"type": "function", "function": {"name": "f"}}]).param, "tools")

    def test_what_a_browser_may_do(self):
        body = {"model": "long", "messages": SAID, "max_tokens": 1}
        for headers, wanted in (({}, 200), ({"Host": "evil.example"}, 403), ({"Content-Type": "text/plain"}, 415),
                                ({"Host": f"localhost:{self.server.port}"}, 200)):
            status, reply_headers, _ = self.server.request("POST", "/v1/chat/completions", body, headers)
            self.assertEqual(status, wanted, headers)
            self.assertNotIn("Access-Control-Allow-Origin", reply_headers)
        status, _, _ = self.server.request("OPTIONS", "/v1/models", headers={"Origin": "https://a.example"})
        self.assertEqual(status, 405)

    def test_health_metrics_and_unknown_paths(self):
        self.assertEqual(self.server.request("GET", "/health")[0::2], (200, '{"status":"ok"}'))
        before = self.server.metrics()
        reply = self.chat()
        after = self.server.metrics()
        name = 'attune_requests_total{endpoint="/v1/chat/completions",status="200"}'
        self.assertEqual(after[name], before.get(name, 0) + 1)
        self.assertGreaterEqual(after["attune_completion_tokens_total"],
                                before["attune_completion_tokens_total"] + reply.usage.completion_tokens)
        self.assertEqual(after["attune_cache_pages_used"], 0)
        self.assertGreater(after["attune_cache_pages"], 0)
        status, _, text = self.server.request("GET", "/v2/nothing")
        self.assertEqual((status, json.loads(text)["error"]["message"]), (404, 'there is nothing at "/v2/nothing"'))
        self.assertEqual(self.server.request("GET", "/v1/completions")[0], 405)
        self.assertEqual(self.server.request("DELETE", "/v1/models")[0], 405)


class Behaviour(Case):
    """Servers with options of their own."""

    def test_key(self):
        secret = "sk-a-secret-of-this-test"
        with Server(PROGRAM, "base/model", environment={"ATTUNE_API_KEY": secret}) as server:
            self.assertEqual([m.id for m in client_of(server, secret).models.list()], ["model"])
            for wrong in ("none", secret[:-1], secret + "x"):
                with self.assertRaises(openai.AuthenticationError) as caught:
                    client_of(server, wrong).models.list()
                self.assertEqual(caught.exception.code, "invalid_api_key")
            self.assertEqual(server.request("GET", "/metrics")[0], 401)
            self.assertEqual(server.request("GET", "/health")[0], 200)
        self.assertNotIn(secret, server.output)
        Path("key").write_text("from-a-file\n")
        with Server(PROGRAM, "base/model", "--api-key-file", "key") as server:
            client_of(server, "from-a-file").models.list()

    def test_cors(self):
        with Server(PROGRAM, "base/model", "--cors", "https://a.example") as server:
            for origin, allowed in (("https://a.example", True), ("https://b.example", False)):
                status, headers, _ = server.request("OPTIONS", "/v1/chat/completions", headers={"Origin": origin})
                self.assertEqual(status == 204, allowed)
                self.assertEqual(headers.get("Access-Control-Allow-Origin"), origin if allowed else None)

    def test_a_client_that_leaves_ends_its_answer(self):
        with Server(PROGRAM, "long", "--context", 100000, "--parallel", 2) as server:
            for attempt in range(20):
                before = server.metrics()["attune_completion_tokens_total"]
                stream = client_of(server).chat.completions.create(model="long", messages=SAID, max_tokens=90000,
                                                                   temperature=LASTING[attempt % 2], stream=True)
                for _, _chunk in zip(range(5), stream):
                    pass
                running = server.metrics()["attune_answers_under_way"] == 1
                stream.close()
                end = time.monotonic() + 60
                while server.metrics()["attune_answers_under_way"] > 0:
                    self.assertGreater(end, time.monotonic(), "the answer goes on for nobody")
                    time.sleep(0.02)
                self.assertEqual(server.metrics()["attune_cache_pages_used"], 0)
                if running:
                    self.assertLess(server.metrics()["attune_completion_tokens_total"] - before, 80000)
                    return
            self.fail("no answer lasted")

    def test_a_full_queue_says_come_back(self):
        with Server(PROGRAM, "long", "--context", 100000, "--parallel", 1, "--queue", 1) as server:
            client = client_of(server)
            for attempt in range(20):
                streams = []
                try:
                    for _ in range(8):
                        raw = socket.create_connection(("127.0.0.1", server.port))
                        body = json.dumps({"model": "long", "messages": SAID, "max_tokens": 90000, "temperature": LASTING[attempt % 2]}).encode()
                        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                    b"Content-Length: %d\r\n\r\n" % len(body) + body)
                        streams.append(raw)
                        time.sleep(0.05)
                    with self.assertRaises(openai.RateLimitError) as caught:
                        client.chat.completions.create(model="long", messages=SAID, max_tokens=1)
                    self.assertEqual(caught.exception.response.headers["Retry-After"], "1")
                    return
                except AssertionError:  # the answers ended by chance
                    pass
                finally:
                    for raw in streams:
                        raw.close()
            self.fail("the queue was never full")

    def test_time_limit(self):
        with Server(PROGRAM, "long", "--context", 100000, "--answer-seconds", 1) as server:
            for attempt in range(20):
                reply = client_of(server).chat.completions.create(model="long", messages=SAID, max_tokens=90000,
                                                                  temperature=LASTING[attempt % 2])
                self.assertLess(reply.usage.completion_tokens, 90000)
                if reply.choices[0].finish_reason == "length":
                    return
            self.fail("no answer was cut")

    def test_interrupt_ends_cleanly(self):
        for by in (signal.SIGINT, signal.SIGTERM):
            server = Server(PROGRAM, "long", "--context", 100000)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                def stream(server=server):
                    return list(client_of(server).chat.completions.create(model="long", messages=SAID, max_tokens=2000,
                                                                          temperature=1.5, stream=True))
                future = pool.submit(stream)
                time.sleep(0.2)
                self.assertEqual(server.stop(by), 0, server.output)
                try:  # what was under way was given the time to end
                    self.assertIn(future.result()[-1].choices[0].finish_reason, ("stop", "length"))
                except openai.APIError:  # or came too late
                    pass
            self.assertTrue(server.output.endswith("stopped\n"), server.output)

    def test_mistakes_are_one_line(self):
        def refused(message, *arguments, environment=None):
            with self.assertRaises(AssertionError) as caught:
                Server(PROGRAM, *arguments, environment=environment)
            self.assertIn(f"attune: {message}\n", str(caught.exception))
        refused("[nowhere] there is no such folder; expected a model as Hugging Face writes it", "nowhere")
        refused("[--adapter] expected NAME=PATH, got run/adapter", "base/model", "--adapter", "run/adapter")
        refused("[--adapter] the name model is taken; choose another", "base/model", "--adapter", "model=run/adapter")
        refused("[--parallel] expected 1 or more, got 0", "base/model", "--parallel", 0)
        refused("[--context] expected 2 to 64, the model's limit, got 65", "base/model", "--context", 65)
        refused("[ATTUNE_API_KEY] holds no key; put one there or leave it out", "base/model", environment={"ATTUNE_API_KEY": " "})
        for content, problem in ((b"", "holds no key; put one there or leave it out"), (b"a b", "holds more than one line or word"),
                                 (b"sk-1\nsk-2\n", "holds more than one line or word"),
                                 (b"sk-\xff", "holds bytes that no HTTP header can carry; a key is letters, digits and signs of ASCII"),
                                 (b"sk-\0x", "holds bytes that no HTTP header can carry; a key is letters, digits and signs of ASCII")):
            Path("bad-key").write_bytes(content)
            refused(f"[bad-key] {problem}", "base/model", "--api-key-file", "bad-key")
        refused("[no-key] no such file; check the path", "base/model", "--api-key-file", "no-key")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            _, error = toy.attune(PROGRAM, "serve", "base/model", "--port", port, status=2)
            self.assertEqual(error, f"attune: [--port] {port} is taken on 127.0.0.1; choose another one or stop the "
                                    "program that has it\n")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=1)
