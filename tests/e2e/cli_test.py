#!/usr/bin/env python3
"""plan, generate and chat as their user meets them: output, exit status, and each mistake's one line.

    cli_test.py PROGRAM

The model is a toy that the program pretrains here in a few steps: it talks nonsense, but it is a real folder with
weights, tokenizer and chat template. An adapter for it is trained as well, so that the plan can be held against a run.
"""
import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import unittest
import unittest.mock
from pathlib import Path

import toy
from toy import json_lines

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = None

TRAIN = """
model: base/model
data: talk.jsonl
output: run
quantization: nf4
lora: {r: 4, init_lora_weights: gaussian}
train: {max_steps: 3, max_length: 64, gradient_accumulation_steps: 1, learning_rate: 0.05}
"""


def attune(*arguments, text=None, status=0):
    return toy.attune(PROGRAM, *arguments, text=text, status=status)


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        toy.make_base(PROGRAM)
        Path("train.yaml").write_text(TRAIN)
        attune("train", "train.yaml")

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def refused(self, message, *arguments, text=None):
        """The command exits with 2 and says exactly this one line."""
        output, error = attune(*arguments, text=text, status=2)
        self.assertRegex(error, r"\Aattune: [^\n]*\n\Z")
        self.assertEqual(error, f"attune: {message}\n")
        return output


class Plan(Cli):
    def test_arithmetic_of_a_shape(self):
        plan = json.loads(attune("plan", "mistral-7b", "--json")[0])
        self.assertEqual(plan["model"]["parameters"], 7241732096)
        self.assertEqual(plan["trained_parameters"], 41943040)
        self.assertEqual(plan["weight_bytes"]["nf4"], 4125769728)
        parts = plan["bytes"]
        self.assertEqual(plan["planned_peak_bytes"], sum(parts[k] for k in ("program", "weights", "adapter", "gradients", "arena")))

    def test_agrees_with_the_run(self):
        plan = json.loads(attune("plan", "train.yaml", "--json")[0])
        named = json.loads(attune("plan", "--recipe", "train.yaml", "--json")[0])
        self.assertEqual(plan["bytes"]["arena"], named["bytes"]["arena"])
        run = json.loads(Path("run/run.json").read_text())
        # What the process itself holds is measured in each; all else is the same arithmetic.
        self.assertEqual(plan["planned_peak_bytes"] - plan["bytes"]["program"],
                         run["planned_bytes"]["total"] - run["planned_bytes"]["program"])
        self.assertEqual(plan["trained_parameters"], run["parameters"]["trained"])
        self.assertEqual(plan["data"]["steps"], run["steps"])
        self.assertEqual(plan["data"]["tokens_per_epoch"], run["tokens_per_epoch"]["all"])

    def test_data_can_only_shorten(self):
        longest = json.loads(attune("plan", "base/model", "--json")[0])
        real = json.loads(attune("plan", "base/model", "--data", "talk.jsonl", "--json", "--set", "train.packing=false")[0])
        self.assertEqual(longest["pass"]["tokens"], 1024)
        self.assertLess(real["pass"]["tokens"], 1024)
        self.assertGreaterEqual(real["pass"]["tokens"], real["data"]["longest"])

    def test_table(self):
        output, _ = attune("plan", "base/model/config.json", "--memory", "5GB")
        for line in ("model      base/model/config.json: 2 blocks", "4 bit (nf4)", "<- this run", "memory of the run",
                     "fits in 5.00 GB: every block's activations are kept."):
            self.assertIn(line, output)

    def test_buffers(self):
        output, _ = attune("plan", "base/model", "--buffers")
        self.assertRegex(output, r"model\.layers\.1\.mlp\.down_proj\.weight\.absmax +weights +u8 +\[32\] +32 +always")
        self.assertRegex(output, r"blocks\.1\.gate +activations")

    def test_refuses_a_budget_and_names_what_fits(self):
        asked = ("plan", "llama-250m", "--set", "compute=bf16", "--set", "quantization=none", "--memory")
        output, error = attune(*asked, "200MB", status=2)
        self.assertIn("memory of the run", output)
        self.assertRegex(error, r"\Aattune: \[memory\] the run needs [\d.]+ MB and the budget is 200.0 MB; the nearest that fits "
                                r"needs [\d.]+ MB: --set train.max_length=\d+\n\Z")
        setting = error.split("--set ")[1].strip()
        attune(*asked, "203MB", "--set", setting)  # what the process holds is not the same twice

    def test_data_without_a_tokenizer(self):
        self.refused("[--data] needs a tokenizer, and llama-250m has none; name a model folder with tokenizer.json",
                     "plan", "llama-250m", "--data", "talk.jsonl")

    def test_unknown_model(self):
        self.refused("[mistral-8b] expected a model folder, a config.json or one of the shapes llama-250m, qwen2.5-0.5b, "
                     "llama-3.2-1b, mistral-7b, got nothing there; did you mean mistral-7b?", "plan", "mistral-8b")


class Generate(Cli):
    def generate(self, *arguments, prompt="the sea is"):
        return attune("generate", "base/model", "--prompt", prompt, "--max-tokens", 12, *arguments)[0]

    def test_temperature_0_repeats_itself_and_streams_what_json_holds(self):
        plain = self.generate("--temperature", 0)
        result = json.loads(self.generate("--temperature", 0, "--json"))
        self.assertEqual(plain, result["text"] + "\n")
        self.assertEqual(plain, self.generate("--temperature", 0, "--seed", 5))
        self.assertEqual(len(result["token_ids"]), result["tokens"])
        self.assertLessEqual(result["tokens"], 12)
        self.assertEqual(result["finish_reason"], "length" if result["tokens"] == 12 else "stop")

    def test_prompt_lookup_does_not_show(self):
        prompt = " ".join(toy.WORDS[:12] * 2)
        options = ("--temperature", 0, "--raw", "--json")
        guessed, plain = (json.loads(self.generate(*options, *more, prompt=prompt)) for more in ((), ("--no-prompt-lookup",)))
        self.assertEqual(guessed["token_ids"], plain["token_ids"])

    def test_seed(self):
        first = self.generate("--temperature", 1.5, "--top-p", 1, "--seed", 7)
        self.assertEqual(first, self.generate("--temperature", 1.5, "--top-p", 1, "--seed", 7))
        others = {self.generate("--temperature", 1.5, "--top-p", 1, "--seed", seed) for seed in (8, 9, 10)}
        self.assertNotEqual(others, {first})

    def test_raw_has_no_template_around_the_prompt(self):
        raw = json.loads(self.generate("--raw", "--json"))
        framed = json.loads(self.generate("--json"))
        self.assertLess(raw["prompt_tokens"], framed["prompt_tokens"])

    def test_prompt_file_and_standard_input(self):
        Path("prompt.txt").write_text("the sea is\n")
        wanted = self.generate("--temperature", 0)
        options = ("generate", "base/model", "--max-tokens", 12, "--temperature", 0, "--prompt-file")
        self.assertEqual(attune(*options, "prompt.txt")[0], wanted)
        self.assertEqual(attune(*options, "-", text="the sea is\n")[0], wanted)

    def test_answers_to_many_prompts_are_data_to_train_on(self):
        tiny = ROOT / "assets/tiny"
        prompts = ["What do you know about the sea?", "Good morning!", "Tell me about a horse.", "Who are you?"]
        Path("prompts.txt").write_text("\r\n".join(prompts[:2]) + "\n \n\n" + "\n".join(prompts[2:]))
        asked = ("generate", tiny, "--prompts", "prompts.txt", "--system", "Be brief.", "--seed", 7, "--max-tokens", 48, "-o")
        told = json.loads(attune(*asked, "rows.jsonl", "--json")[0])
        rows = []
        for number, prompt in enumerate(prompts):  # each as if it were asked alone
            one = json.loads(attune("generate", tiny, "--prompt", prompt, "--system", "Be brief.", "--seed", 7 + number,
                                    "--max-tokens", 48, "--json")[0])
            if one["finish_reason"] == "stop" and one["text"].strip():
                rows.append({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt},
                                          {"role": "assistant", "content": one["text"].strip()}]})
        self.assertGreater(len(rows), 0)
        self.assertEqual(json_lines("rows.jsonl"), rows)
        self.assertEqual((told["prompts"], told["answers"], told["cut"] + told["empty"], told["seed"]),
                         (4, len(rows), 4 - len(rows), 7))
        output = attune(*asked, "again.jsonl")[0]
        self.assertIn(f"Wrote again.jsonl: {len(rows)} answers to 4 prompts", output)
        self.assertEqual(Path("again.jsonl").read_bytes(), Path("rows.jsonl").read_bytes())
        attune("train", "train.yaml", "--set", "output=mixed", "--set", "train.replay_data=rows.jsonl", "--set",
               "train.replay_ratio=1")
        mixed, alone = (json.loads(Path(run, "run.json").read_text()) for run in ("mixed", "run"))
        self.assertEqual(mixed["conversations"]["replay"], len(rows))
        self.assertNotEqual(mixed["data_sha256"], alone["data_sha256"])

    def test_bundled_prompts_are_not_what_forgetting_is_measured_by(self):
        def runs(text):
            words = re.findall(r"\w+", text.lower())
            return {tuple(words[i:i + 4]) for i in range(len(words) - 3)}

        general = ROOT / "assets/general"
        prompts = (general / "prompts.txt").read_text().splitlines()
        self.assertEqual(len(set(prompts)), 160)
        measured = runs((general / "text.txt").read_text()).union(
            *(runs(question["prompt"]) for question in json_lines(general / "questions.jsonl")))
        self.assertEqual([prompt for prompt in prompts if runs(prompt) & measured], [])

    def test_mistakes_with_many_prompts(self):
        model = "base/model"
        Path("ask.txt").write_text("the sea\n" + "gold " * 200 + "\n")
        Path("nothing.txt").write_text("\n \n")
        many = ("generate", model, "--max-tokens", 12, "--prompts")
        refused = self.refused
        refused("[generate] expected --prompt TEXT, --prompt-file FILE or --prompts FILE, one of them",
                *many, "ask.txt", "--prompt", "x", "-o", "out.jsonl")
        refused("[generate] --prompts FILE and -o FILE belong together: the answers to many prompts go to a file", *many, "ask.txt")
        refused("[generate] --prompts FILE and -o FILE belong together: the answers to many prompts go to a file",
                "generate", model, "--prompt", "x", "-o", "out.jsonl")
        refused("[--raw] continues one text; leave it out with --prompts, which asks for answers",
                *many, "ask.txt", "-o", "out.jsonl", "--raw")
        refused("[ask.txt] already exists; choose another name or remove it", *many, "ask.txt", "-o", "ask.txt")
        refused("[nothing.txt] holds no prompt; write one a line", *many, "nothing.txt", "-o", "out.jsonl")
        error = attune(*many, "ask.txt", "-o", "out.jsonl", status=2)[1]
        self.assertRegex(error, r"\Aattune: \[ask.txt:2\] the prompt has \d+ tokens and the context 64, which must hold the "
                                r"answer too; shorten it\n\Z")
        Path("ask.txt").write_text("the sea\n")
        error = attune("generate", model, "--max-tokens", 1, "--prompts", "ask.txt", "-o", "out.jsonl", status=2)[1].splitlines()[-1]
        self.assertEqual(error, "attune: [--max-tokens] none of 1 answers came to an end within 1 tokens; give more, or "
                                "another model")
        self.assertEqual([path.name for path in Path(".").iterdir() if "out.jsonl" in path.name], [])

    def test_adapter_and_quantization_change_the_answer(self):
        prompts = [" ".join(toy.WORDS[i:i + 3]) for i in range(0, 15, 3)]
        bare = [self.generate("--temperature", 0, prompt=p) for p in prompts]
        adapted = [self.generate("--temperature", 0, "--adapter", "run/adapter", prompt=p) for p in prompts]
        self.assertNotEqual(bare, adapted)
        self.generate("--quantization", "nf4")
        self.generate("--quantization", "int8")

    def test_mistakes(self):
        model = "base/model"
        refused = self.refused
        refused("[nowhere] there is no such folder; expected a model as Hugging Face writes it",
                "generate", "nowhere", "--prompt", "x")
        refused("[generate] expected --prompt TEXT, --prompt-file FILE or --prompts FILE, one of them", "generate", model)
        refused("[--prompt] is empty; give the model something to answer", "generate", model, "--prompt", "")
        refused("[temperature] expected 0 or more, got -1", "generate", model, "--prompt", "x", "--temperature", -1)
        refused("[--max-tokens] expected 1 or more, got 0", "generate", model, "--prompt", "x", "--max-tokens", 0)
        refused("[--context] expected at most 64, the model's limit, got 65",
                "generate", model, "--prompt", "x", "--context", 65)
        _, error = attune("generate", model, "--prompt", "sea " * 200, status=2)
        self.assertRegex(error, r"\Aattune: \[prompt\] has \d+ tokens and the context 64, which must hold the answer too; "
                                r"shorten it or raise --context\n\Z")
        other = ROOT / "tests/golden/llama2/adapter"
        _, error = attune("generate", model, "--prompt", "x", "--adapter", other, status=2)
        self.assertRegex(error, r"\Aattune: \[[^\n]*the adapter was made for another base model\n\Z")

    def test_model_without_a_template(self):
        shutil.copytree("base/model", "plain", dirs_exist_ok=True)
        Path("plain/chat_template.jinja").unlink(missing_ok=True)
        config = json.loads(Path("plain/tokenizer_config.json").read_text())
        config.pop("chat_template", None)
        Path("plain/tokenizer_config.json").write_text(json.dumps(config))
        self.refused("[plain] the model has no chat template, so it was not made to answer; continue a text with --raw",
                     "generate", "plain", "--prompt", "x")
        self.refused("[plain] the model has no chat template, so it was not made to answer; continue a text with attune "
                     "generate --raw", "chat", "plain", text="")
        attune("generate", "plain", "--prompt", "the sea", "--raw", "--max-tokens", 2)


class Chat(Cli):
    OPTIONS = ("--temperature", 0, "--max-tokens", 6)

    def chat(self, *lines, options=()):
        output, error = attune("chat", "base/model", *self.OPTIONS, *options, text="".join(line + "\n" for line in lines))
        return output.splitlines(), error

    def generate(self, prompt, *options):
        return attune("generate", "base/model", "--prompt", prompt, *self.OPTIONS, *options)[0].rstrip("\n").replace("\n", " ")

    def test_a_line_for_a_line_and_nothing_else(self):
        answers, error = self.chat("the sea", "the wind")
        self.assertEqual(len(answers), 2)
        self.assertEqual(error, "")
        self.assertEqual(answers[0], self.generate("the sea"))

    def test_reset_forgets(self):
        answers, _ = self.chat("the sea", "/reset", "the wind")
        self.assertEqual(answers, [self.generate("the sea"), self.generate("the wind")])

    def test_system(self):
        answers, _ = self.chat("/system we sing", "the sea", options=("--system", "gold"))
        self.assertEqual(answers, [self.generate("the sea", "--system", "we sing")])

    def test_adapter_on_and_off(self):
        adapter = ("--adapter", "run/adapter")
        answers, _ = self.chat("the sea", "/adapter off", "/reset", "the sea", "/adapter on", "/reset", "the sea", options=adapter)
        on, off = self.generate("the sea", *adapter), self.generate("the sea")
        self.assertEqual(answers, [on, off, on])
        self.refused("[adapter] none is loaded; start again with --adapter FOLDER", "chat", "base/model", text="/adapter on\n")

    def test_oldest_exchanges_are_forgotten(self):
        answers, error = self.chat(*["the sea is calm"] * 12)
        self.assertEqual(len(answers), 12)
        self.assertIn("the context of 64 tokens is full: the oldest ", error)

    def test_doctor_describes_the_machine(self):
        output, _ = attune("doctor")
        for line in (r"cores +\d+, of which \d+ (is|are) used", r"instruction set +\w+", r"memory +[\d.]+ [MGT]B, of which",
                     r"products +[1-9]\d* GFLOP/s in (f32|bf16), measured", r"memory's speed +[\d.]+ GB/s, measured", r"GPU +\w"):
            self.assertRegex(output, f"(?m)^{line}")
        machine = json.loads(attune("doctor", "--json")[0])
        self.assertEqual(machine["cores"], len(os.sched_getaffinity(0)))
        self.assertGreater(machine["gemm_peak_gflops"], 0)
        self.assertGreater(machine["memory_bandwidth_gb_per_second"], 0)
        self.assertGreaterEqual(machine["memory_bytes"], machine["available_memory_bytes"])
        self.assertEqual(machine["gpus"] == [], machine["gpu_problem"] != "")
        with unittest.mock.patch.dict(os.environ, {"ATTUNE_SIMD": "scalar", "OMP_NUM_THREADS": "1"}):
            limited = json.loads(attune("doctor", "--json")[0])
        self.assertEqual((limited["simd"], limited["threads"]), ("SCALAR", 1))

    def test_unknown_command(self):
        self.refused("[/rest] is no command; /help lists them", "chat", "base/model", text="/rest\n")
        self.refused("[/adapter] expected on or off, got pete; another adapter is for `attune chat --adapter`",
                     "chat", "base/model", text="/adapter pete\n")


class Terminal(Cli):
    """chat on a pseudo-terminal."""

    PROMPT = "\033[1m>\033[0m "
    MORE = "\033[1m...\033[0m "

    def setUp(self):
        # Positions without end, so that an answer lasts until it is stopped.
        shutil.copytree("base/model", "long", dirs_exist_ok=True)
        config = json.loads(Path("long/config.json").read_text())
        config["max_position_embeddings"] = 200000
        Path("long/config.json").write_text(json.dumps(config))
        self.children = []

    def tearDown(self):
        for child, terminal in self.children:
            os.close(terminal)
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    def open(self, *options):
        child, self.terminal = pty.fork()
        if child == 0:
            environment = {**os.environ, "TERM": "xterm", "XDG_STATE_HOME": str(Path("state").resolve())}
            os.execve(PROGRAM, [PROGRAM, "chat", "long", "--context", "200000", *options], environment)
        self.children.append((child, self.terminal))
        self.seen = ""
        self.expect("/help lists the commands, Ctrl-D leaves.")
        self.expect(self.PROMPT)

    def expect_answered(self):
        """The line behind an answer: how fast it was is told from two tokens on; Ctrl-C may come before the first."""
        self.assertRegex(self.expect(", context "), r"(?<!\d)([01] tokens?|([2-9]|\d{2,}) tokens, [\d.]+ tokens/s)\Z")

    def leave(self):
        self.send("\x04")
        _, status = os.waitpid(self.children[-1][0], 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)

    def expect(self, text):
        """Reads until `text` has come after what was expected before; returns what came before it."""
        end = time.monotonic() + toy.SECONDS
        while text not in self.seen:
            self.assertGreater(end, time.monotonic(), f"waited for {text!r}, got {self.seen!r}")
            if select.select([self.terminal], [], [], 1)[0]:
                self.seen += os.read(self.terminal, 4096).decode(errors="replace")
        before, self.seen = self.seen.split(text, 1)
        return before

    def send(self, text):
        os.write(self.terminal, text.encode())

    def test_interrupt_ends_the_answer_only(self):
        self.open("--max-tokens", "100000", "--temperature", "1.5", "--top-p", "1")
        self.send("\x03")
        self.expect("Ctrl-D or /quit leaves")
        self.expect(self.PROMPT)
        self.send("/nonsense\n")
        self.expect("[/nonsense] is no command; /help lists them")
        self.expect(self.PROMPT)
        for _ in range(20):  # a random model may end an answer by chance before Ctrl-C comes
            self.send("the sea\n")
            self.expect("\r\n")
            time.sleep(0.05)
            self.send("\x03")
            self.expect_answered()
            if "stopped by you" in self.expect(self.PROMPT):
                break
        else:
            self.fail("Ctrl-C never stopped an answer")
        self.leave()

    def test_no_interrupt_at_the_prompt_is_lost(self):
        self.open()
        for _ in range(100):
            self.send("half a line\x03")
            self.expect("Ctrl-D or /quit leaves")
            self.expect(self.PROMPT)
        self.leave()

    def said(self):
        """What the user said, as /save has it."""
        Path("said.jsonl").unlink(missing_ok=True)
        self.send("/save said.jsonl\n")
        self.expect("saved to said.jsonl")
        self.expect(self.PROMPT)
        self.assertEqual(Path("said.jsonl").stat().st_mode & 0o777, 0o600)
        return [m["content"] for m in json_lines("said.jsonl")[0]["messages"] if m["role"] == "user"]

    def say(self, *parts):
        for part in parts[:-1]:
            self.send(part)
            self.expect(self.MORE)
        self.send(parts[-1])
        self.expect_answered()
        self.expect(self.PROMPT)

    def test_editing(self):
        self.open("--max-tokens", "2", "--no-history")
        self.say("the wnid\x1b[D\x1b[D\x7f\x1b[Cn\x1b[H\x1b[3~T\n")      # left, backspace, right, home, delete
        self.say("a t\u0171z\u00e9 \U0001f525x\x7f\x7f!\n")               # characters of two and four bytes
        self.say("one\\\n", "two\\\n", "three\n")
        self.say('"""first\n', 'second"""\n')
        self.say("\x1b[200~pasted\nlines\x1b[201~\n")
        self.say("\x1b[A\x1b[A\x1b[A and more\n")                          # three lines back
        self.assertEqual(self.said(), ["The wind", "a t\u0171z\u00e9 !", "one\ntwo\nthree", "first\nsecond",
                                       "pasted\nlines", "one\ntwo\nthree and more"])
        self.send("/save long/config.json\n")
        self.expect("[long/config.json] exists; choose another name")
        self.expect(self.PROMPT)
        self.leave()

    def test_history_outlives_the_chat_and_is_private(self):
        history = Path("state/attune/chat_history")
        history.unlink(missing_ok=True)
        self.open("--max-tokens", "2")
        self.say("the sea\n")
        self.leave()
        self.assertEqual(json_lines(history), ["the sea"])
        self.assertEqual(history.stat().st_mode & 0o777, 0o600)
        self.open("--max-tokens", "2")
        self.say("\x1b[A and the wind\n")
        self.assertEqual(self.said(), ["the sea and the wind"])
        self.leave()
        self.open("--max-tokens", "2", "--no-history")
        self.say("a secret\n")
        self.leave()
        self.assertEqual(json_lines(history), ["the sea", "the sea and the wind", "/save said.jsonl"])


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=1)
