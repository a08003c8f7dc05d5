#!/usr/bin/env python3
"""Load on attune serve: one client, then many at once, each asking again as soon as it has its answer.

    bench/serve_load.py PROGRAM [--model assets/tiny] [--clients 64] [--seconds 60] [--chat 0.25] [--adapters PATH...]

Prints tokens per second and latencies of both; exits 1 when a request failed or many clients together got less than
`--gain` times the tokens per second of one.

Counted are the tokens of answers that the server made between two marks, by its own counter: the first when the clients
begin, so that working off their prompts counts against it, the second after `--seconds`. What is left of the answers
under way then is waited for but not counted; latencies are of every answer. That the counter does not flatter is
checked: at the end it must have grown by what the clients were told, to the token.
"""
import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

WORDS = "the sea is calm and the wind is in the sails of our small ship while we sing about fish and gold".split()


class Client:
    """One connection that is kept open; a quarter of the answers are streamed."""

    def __init__(self, port, models, number, options):
        self.port, self.models, self.tokens, self.chat = port, models, options.tokens, options.chat
        self.rng = random.Random(number)
        self.answer_tokens, self.errors, self.seconds = 0, [], []

    async def run(self, until):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        try:
            while time.monotonic() < until:
                begun = time.monotonic()
                self.answer_tokens += await self.ask(reader, writer)
                self.seconds.append(time.monotonic() - begun)
        except (OSError, ValueError, asyncio.IncompleteReadError, KeyError) as error:
            self.errors.append(repr(error))
        finally:
            writer.close()

    async def ask(self, reader, writer):
        stream = self.rng.random() < 0.25
        chat = self.rng.random() < self.chat
        words = " ".join(self.rng.choices(WORDS, k=self.rng.randint(5, 40)))
        request = {"model": self.rng.choice(self.models), "max_tokens": self.tokens, "temperature": 0.8, "stream": stream}
        request |= {"messages": [{"role": "user", "content": words}]} if chat else {"prompt": words}
        if stream:
            request["stream_options"] = {"include_usage": True}
        body = json.dumps(request).encode()
        path = b"/v1/chat/completions" if chat else b"/v1/completions"
        writer.write(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % (path, len(body)) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if not head.startswith("HTTP/1.1 200 "):
            raise ValueError(head.split("\r\n")[0])
        length = re.search(r"content-length: (\d+)", head, re.I)
        if length:
            return json.loads(await reader.readexactly(int(length.group(1))))["usage"]["completion_tokens"]
        text = b""
        while size := int((await reader.readline()).strip(), 16):
            text += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
        events = text.decode().split("\n\n")
        if events[-2] != "data: [DONE]":
            raise ValueError("the stream broke off")
        return json.loads(events[-3].removeprefix("data: "))["usage"]["completion_tokens"]


def counters(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        lines = [line.split() for line in reply.read().decode().splitlines() if not line.startswith("#")]
    values = {line[0]: float(line[1]) for line in lines}
    return {"tokens": values["attune_completion_tokens_total"], "passes": values["attune_passes_total"],
            "pass_seconds": values["attune_pass_seconds_total"], "batch": values["attune_batch_answers_total"]}


async def load(port, models, count, seconds, options):
    clients = [Client(port, models, number, options) for number in range(count)]
    before = await asyncio.to_thread(counters, port)
    begun = time.monotonic()
    running = asyncio.gather(*(client.run(begun + seconds) for client in clients))
    await asyncio.sleep(seconds)
    at_mark = await asyncio.to_thread(counters, port)
    elapsed = time.monotonic() - begun
    await running
    await asyncio.sleep(0.2)  # a pass is counted when it is over, a little after its last answer is out
    made = (await asyncio.to_thread(counters, port))["tokens"] - before["tokens"]
    errors = [error for client in clients for error in client.errors]
    told = sum(client.answer_tokens for client in clients)
    if made != told and not errors:
        errors.append(f"the server counted {made} tokens, the clients {told}")
    grown = {name: value - before[name] for name, value in at_mark.items()}
    times = sorted(second for client in clients for second in client.seconds)
    return {"clients": count, "answers": len(times), "tokens_per_second": grown["tokens"] / elapsed,
            "median_seconds": times[len(times) // 2] if times else None,
            "slowest_of_20_seconds": times[len(times) * 19 // 20] if times else None,
            "answers_in_a_pass": grown["batch"] / max(1, grown["passes"]),
            "milliseconds_a_pass": 1000 * grown["pass_seconds"] / max(1, grown["passes"]), "errors": errors}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program")
    options.add_argument("--model", default=str(Path(__file__).resolve().parents[1] / "assets/tiny"))
    options.add_argument("--clients", type=int, default=64)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--tokens", type=int, default=64)
    options.add_argument("--gain", type=float, default=3)
    options.add_argument("--chat", type=float, default=0, help="the share of requests that are chats, through the template")
    options.add_argument("--adapters", nargs="*", default=[], help="adapters that requests draw from, and from the base")
    options.add_argument("--serve-options", default="--parallel 64")
    options = options.parse_args()
    adapters = {f"adapter-{number}": path for number, path in enumerate(options.adapters)}
    server = subprocess.Popen([options.program, "serve", options.model, "--port", "0", *options.serve_options.split(),
                               *(part for name, path in adapters.items() for part in ("--adapter", f"{name}={path}"))],
                              stdout=subprocess.PIPE, text=True, env={"OMP_WAIT_POLICY": "passive", **os.environ})
    try:
        for line in server.stdout:
            if ready := re.search(r"^ready +http://[^ ]*:(\d+)/", line):
                break
        else:
            sys.exit("the server did not begin")
        port, models = int(ready.group(1)), [Path(options.model).resolve().name, *adapters]
        asyncio.run(load(port, models, 1, 1, options))  # warm
        one = asyncio.run(load(port, models, 1, options.seconds / 3, options))
        many = asyncio.run(load(port, models, options.clients, options.seconds, options))
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    finally:
        server.terminate()
        status = server.wait(60)
    gain = many["tokens_per_second"] / max(one["tokens_per_second"], 1e-9)
    print(json.dumps({"one": one, "many": many, "gain": gain, "exit_status": status,
                      "resident_bytes": pages * os.sysconf("SC_PAGE_SIZE")}, indent=2))
    if one["errors"] or many["errors"] or status != 0 or gain < options.gain:
        sys.exit(1)


if __name__ == "__main__":
    main()
