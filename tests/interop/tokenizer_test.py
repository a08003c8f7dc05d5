#!/usr/bin/env python3
"""Token ids and decoded texts of attune against Hugging Face tokenizers and sentencepiece: not one may differ.

usage: tokenizer_test.py TOKENIZE_DRIVER SHARED_DATA SOURCE_FOLDER

Over more than 10 MB of Hungarian, English, IRC, SQL, C++ and legal text plus generated hard text (code points of every block,
emoji sequences, combining marks, white space, broken UTF-8, special tokens inside text). Real vocabularies: GPT-2 and
Mistral v1/v3; the pre-tokenizers of Llama 3, Qwen 2 and Mistral's tekken get vocabularies trained here. Each
tokenizer in turn meets half of the hard text and a quarter of the real text; with ATTUNE_FULL=1 all of both. Exit 77: a
package or the data is missing.
"""
import json, os, random, re, struct, subprocess, sys, tempfile, time
from pathlib import Path

try:
    import numpy
    import sentencepiece
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

DRIVER, DATA, SOURCE = (Path(argument) for argument in sys.argv[1:4])
if not (DATA / "tokenizers").is_dir():
    print(f"SKIP: no shared data at {DATA}")
    sys.exit(77)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?"
          r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
SPECIALS = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>",
            "<|start_header_id|>", "<|eot_id|>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "<mask>", "<word>"]


# ---------------------------------------------------------------- texts

def hard_documents():
    """Generated texts that meet every rule of a tokenizer, as bytes."""
    chance = random.Random(7)
    alphabet = (list(" \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u180e\u2003\u200b\u2028\u2029\u202f\u3000\ufeff") + ["  ", "   "] * 3 +
                list("aAbBzZéÉőŐűſKİıßﬁ̈́ÅåÅ한글ᄒ日本語กำमिन्दी۱۲३४½²Ⅷ①０１") +
                ["'s", "'S", "'ll", "'LL", "'re", "'ve", "'d", "'m", "'T", "'ſ", "’s", "n't"] +
                list("0123456789") * 2 + list(".,;:!?-_/\\()[]{}<>|@#$%^&*+=~`\"'") + ["==", "--", "//", "```", "\r\n", "\n\n"] +
                ["😀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇭🇺", "❤️", "\U0001FAE8", "\U0001F1E6", "é", "ọ̋", "ﷺ", "\U00031350", "\U000323AF",
                 "\U0001E030", "\U00010D40", "\U0010FFFF", "\uFFFD", "\x00", "\x7f", "㋿", "\U0001FBF5", "가", "각"] +
                SPECIALS * 2 + ["<0x41>", "▁", "▁▁", "the", "hello", "World", "Szia", "árvíztűrő"])
    documents = ["".join(chance.choice(alphabet) for _ in range(chance.randrange(1, 120))) for _ in range(1500)]
    documents += ["", " ", "  ", "a", " a", "a ", "\n", "▁", "<s>", " <s> ", "</s></s>", "\u00a0", "💥", "'", "''s", "\ufeff", "\x00"]
    documents = [document.encode() for document in documents]
    # Code points between letters, after an apostrophe, and doubled: all below U+3100, every 17th above.
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and (c < 0x3100 or c % 17 == 0 or 0x1E000 <= c < 0x1F000)]
    for begin in range(0, len(points), 2000):
        documents.append("".join(f"a{c}b {c}{c} '{c}1{c}\n" for c in points[begin:begin + 2000]).encode())
    pieces = [b"abc ", b" d\n", "é".encode(), "😀".encode(), b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\x80",
              b"\xc0\xaf", b"\xf5", b"<s>", b"1"]
    documents += [b"".join(chance.choice(pieces) for _ in range(60)) for _ in range(200)]
    return documents


def real_documents():
    """More than 10 MB of real text in documents of 64 KB."""
    def take(path, size, offset=0):
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    texts = [take(DATA / "hungarian/eltec_hun_novels_16MB.txt", 2_500_000, 5_000_000),
             take(DATA / "hungarian/eltec_hun_dialogue_runs.jsonl", 1_000_000),
             take(DATA / "books_en/classic_books_16MB.txt", 2_000_000, 3_000_000),
             take(DATA / "books_en/african_storybook/asp_en_ccby.txt", 400_000),
             take(DATA / "dialog_en/sgd.jsonl", 800_000), take(DATA / "dialog_en/topical_chat_valid_test.jsonl", 500_000),
             take(DATA / "sql/chinook/Chinook_Sqlite.sql", 600_000)]
    texts.append(b"\n".join(path.read_bytes() for path in sorted((DATA / "dialog_en/ubuntu_irc").rglob("*"))
                            if path.is_file())[:2_000_000])
    texts.append(b"\n".join(path.read_bytes() for path in sorted((DATA / "legal").rglob("*.txt")))[:500_000])
    texts.append(b"\n".join(path.read_bytes() for suffix in ("*.cc", "*.h", "*.py")
                            for path in sorted(SOURCE.glob("src/*/" + suffix)))[:500_000])
    return [text[begin:begin + 65536] for text in texts for begin in range(0, len(text), 65536)]


# ---------------------------------------------------------------- tokenizers

def read_gguf_vocabulary(path):
    """Tokens and merges of a GGUF file."""
    data, at = path.read_bytes(), 0

    def number(format):
        nonlocal at
        value, = struct.unpack_from("<" + format, data, at)
        at += struct.calcsize(format)
        return value

    def value(kind):
        nonlocal at
        if kind == 8:
            size = number("Q")
            at += size
            return data[at - size:at].decode()
        if kind == 9:
            kind, size = number("I"), number("Q")
            return [value(kind) for _ in range(size)]
        return number("BbHhIif?_____".replace("_", "") [kind] if kind < 8 else "Qqd"[kind - 10])

    assert number("I") == 0x46554747
    number("I"), number("Q")
    fields = {}
    for _ in range(number("Q")):
        key = value(8)
        fields[key] = value(number("I"))
    return fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.merges"]


def gpt2():
    tokens, merges = read_gguf_vocabulary(DATA / "tokenizers/gpt-2/ggml-vocab-gpt-2.gguf")
    vocabulary = {token: id for id, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def trained(pattern, normalizer, specials, documents, ignore_merges=False, size=8000):
    """A byte-level vocabulary behind one of the well-known patterns."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator((document.decode(errors="replace") for document in documents),
                                  trainers.BpeTrainer(vocab_size=size, show_progress=False,
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if ignore_merges:  # a vocabulary with tokens that no merge reaches, as Llama 3's has
        state = json.loads(tokenizer.to_str())
        state["model"]["ignore_merges"] = True
        state["model"]["merges"] = [merge for i, merge in enumerate(state["model"]["merges"]) if i % 50 != 49 or i < 4000]
        tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.add_special_tokens(specials)
    return tokenizer


def converted_sentencepiece(model, metaspace):
    """tokenizer.json of a SentencePiece BPE model, as transformers converts it."""
    vocabulary = {model.id_to_piece(id): id for id in range(model.get_piece_size())}
    merges = []
    for piece, id in vocabulary.items():
        parts = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        parts = [(a, b) for a, b in parts if a in vocabulary and b in vocabulary]
        merges += [(a, b, model.get_score(id)) for a, b in sorted(parts, key=lambda part: (vocabulary[part[0]], vocabulary[part[1]]))]
    merges.sort(key=lambda merge: (merge[2], len(merge[0]), len(merge[1])), reverse=True)
    tokenizer = Tokenizer(models.BPE(vocabulary, [(a, b) for a, b, _ in merges], unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=True))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def unusual(documents):
    """Small tokenizers for the parts that the well-known ones do not use."""
    text = [document.decode(errors="replace") for document in documents]
    P, N = pre_tokenizers, normalizers

    def bpe(pre_tokenizer, normalizer=None, decoder=None, added=(), **options):
        trainer_options = {key: options[key] for key in ("continuing_subword_prefix", "end_of_word_suffix") if key in options}
        tokenizer = Tokenizer(models.BPE(**options))
        tokenizer.pre_tokenizer = pre_tokenizer
        if normalizer:
            tokenizer.normalizer = normalizer
        if decoder:
            tokenizer.decoder = decoder
        special = ["<unk>"] if "unk_token" in options else []
        tokenizer.train_from_iterator(text, trainers.BpeTrainer(vocab_size=1500, limit_alphabet=120, show_progress=False,
                                                                special_tokens=special, **trainer_options))
        tokenizer.add_tokens(list(added))
        return tokenizer

    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            yield f"split {behavior} {invert}", bpe(P.Split(Regex(r"[aeiou]|\d\d?|\s"), behavior, invert))
        yield f"split string {behavior}", bpe(P.Split("a", behavior))
        yield f"punctuation {behavior}", bpe(P.Punctuation(behavior), unk_token="<unk>")
    yield "whitespace", bpe(P.Whitespace(), unk_token="<unk>", fuse_unk=True)
    yield "whitespace split, digits", bpe(P.Sequence([P.WhitespaceSplit(), P.Digits(True), P.Punctuation()]), unk_token="<unk>")
    yield "digits joined", bpe(P.Digits(False), unk_token="<unk>", fuse_unk=True)
    yield "word suffix", bpe(P.Whitespace(), decoder=decoders.BPEDecoder("</w>"), end_of_word_suffix="</w>", unk_token="<unk>")
    yield "word prefix", bpe(P.Whitespace(), continuing_subword_prefix="##", unk_token="<unk>", fuse_unk=True)
    yield "lower, strip, nfkc", bpe(P.Whitespace(), N.Sequence([N.NFKC(), N.Lowercase(), N.Strip()]), unk_token="<unk>")
    yield "nfd, nfkd", bpe(P.Whitespace(), N.Sequence([N.NFD(), N.Replace(Regex(r"\p{Mn}"), ""), N.NFKD()]), unk_token="<unk>")
    yield "metaspace always", bpe(P.Metaspace(), decoder=decoders.Metaspace(), unk_token="<unk>")
    yield "metaspace never", bpe(P.Metaspace(prepend_scheme="never"), decoder=decoders.Metaspace(prepend_scheme="never"))
    yield "metaspace first, strip", bpe(P.Sequence([P.Digits(True), P.Metaspace(prepend_scheme="first")]), N.Strip(),
                                        decoder=decoders.Metaspace(prepend_scheme="first"))
    yield "metaspace first, replace", bpe(P.Metaspace(prepend_scheme="first"), N.Replace(Regex(" {2,}"), " "))
    yield "byte level with space", bpe(P.ByteLevel(add_prefix_space=True), decoder=decoders.ByteLevel())
    yield "byte level after split", bpe(P.Sequence([P.Split(Regex(r"\w+|\W"), "isolated"), P.ByteLevel(True)]), decoder=decoders.ByteLevel())
    yield "byte level normalizer", bpe(P.WhitespaceSplit(), N.ByteLevel(), decoder=decoders.ByteLevel())
    added = [AddedToken("<mask>", lstrip=True, normalized=False, special=True), AddedToken("<word>", single_word=True, normalized=False),
             AddedToken("hello", single_word=True), AddedToken("the", rstrip=True), AddedToken("<s>", lstrip=True, rstrip=True),
             AddedToken("</s>", normalized=False, special=True), AddedToken("World", normalized=True, special=True), AddedToken("  ", normalized=False)]
    yield "added tokens", bpe(P.Whitespace(), N.Sequence([N.NFC(), N.Lowercase()]), added=added, unk_token="<unk>")
    yield "added tokens, bytes", bpe(P.ByteLevel(False), N.Prepend("_"), decoders.ByteLevel(), added)


# ---------------------------------------------------------------- comparison

STREAMED = 8192  # tokenize.cc streams documents up to this size
failures = 0
total_bytes = 0


def run_driver(folder, documents, work):
    """The driver's facts and, of every document, ids, text, text without special tokens and streamed text."""
    (work / "documents").write_bytes(b"".join(struct.pack("<I", len(document)) + document for document in documents))
    result = subprocess.run([str(DRIVER), str(folder), str(work / "documents"), str(work / "results")], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"FAIL: tokenize: {result.stderr}")
    data, at, blobs = (work / "results").read_bytes(), 0, []
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        blobs.append(data[at + 4:at + 4 + size])
        at += 4 + size
    assert len(blobs) == 4 * len(documents)
    ids = [numpy.frombuffer(blob, "<i4").tolist() for blob in blobs[::4]]
    return json.loads(result.stdout), ids, blobs[1::4], blobs[2::4], blobs[3::4]


def complain(name, what, document, ours, theirs):
    global failures
    failures += 1
    if failures > 20:
        return
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    print(f"FAIL {name}: {what} differ at {at}: ours {ours[max(at - 3, 0):at + 6]} theirs {theirs[max(at - 3, 0):at + 6]}; "
          f"text begins {document[:80]!r}")


def compare(name, files, documents, encode, decode):
    """Ids and texts of attune (over a folder with `files`) against encode(texts) -> ids and decode(ids, skip)."""
    global total_bytes
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        (Path(temporary) / "work").mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        facts, ids, texts, plains, streams = run_driver(folder, documents, Path(temporary) / "work")
    ours_seconds = time.monotonic() - start
    theirs_begin = time.monotonic()
    expected = list(encode([document.decode(errors="replace") for document in documents]))
    theirs = time.monotonic() - theirs_begin
    for document, ours, reference, text, plain, stream in zip(documents, ids, expected, texts, plains, streams):
        if ours != reference:
            complain(name, "ids", document, ours, reference)
            continue
        for skip, got in ((False, text), (True, plain)):
            wanted = decode(ours, skip)
            if wanted is not None and wanted.encode() != got:
                complain(name, f"decoded texts (skip special {skip})", document, got, wanted.encode())
        if len(document) <= STREAMED and stream != plain:
            complain(name, "streamed texts", document, stream, plain)
    size = sum(map(len, documents))
    total_bytes += size
    print(f"{name}: {size / 1e6:.2f} MB, {sum(map(len, ids))} ids; attune {facts['mb_per_s']} MB/s; "
          f"{ours_seconds:.1f} s, reference {theirs:.1f} s, in all "
          f"{time.monotonic() - start:.1f} s", flush=True)
    return facts


def compare_tokenizers(name, tokenizer, documents, config=None):
    files = {"tokenizer.json": tokenizer.to_str()}
    if config:
        files["tokenizer_config.json"] = json.dumps(config)
    encode = lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    return compare(name, files, documents, encode, lambda ids, skip: tokenizer.decode(ids, skip_special_tokens=skip))


def compare_sentencepiece(name, path, documents, legacy):
    data = path.read_bytes()
    model, bare = sentencepiece.SentencePieceProcessor(), sentencepiece.SentencePieceProcessor()
    model.LoadFromSerializedProto(data)
    bare.LoadFromSerializedProto(data + b"\x1a\x02\x18\x00")  # without the dummy prefix
    special = {model.id_to_piece(id): id for id in range(model.get_piece_size()) if model.is_control(id) or model.is_unknown(id)}
    cut = re.compile("|".join(re.escape(piece) for piece in sorted(special, key=len, reverse=True)))

    def encode(texts):
        for text in texts:
            ids, at = [], 0
            for match in list(cut.finditer(text)) + [None]:
                part = text[at:match.start() if match else len(text)]
                if part:
                    ids += (model if legacy or at == 0 else bare).encode(part)
                if match:
                    ids.append(special[match.group()])
                    at = match.end()
            yield ids

    def decode(ids, skip):
        return model.decode([id for id in ids if id not in special.values()]) if skip else None

    return compare(name, {"tokenizer.model": data, "tokenizer_config.json": json.dumps({"legacy": legacy})}, documents, encode, decode)


def compare_trained(documents, text):
    """The tokenizer that attune trains: its two files and transformers give the same ids."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "trained"
        folder.mkdir()
        (Path(temporary) / "text").write_bytes(text)
        subprocess.run([str(DRIVER), "--train", f"{temporary}/text", str(folder)], check=True)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        compare_tokenizers("trained, tokenizer.json", tokenizer, documents)
        compare_sentencepiece("trained, tokenizer.model", folder / "tokenizer.model", documents, True)
        try:
            from transformers import AutoTokenizer
        except ImportError:
            print("trained, transformers: not installed, left out")
            return
        auto = AutoTokenizer.from_pretrained(str(folder))
        expect("roles in transformers", (auto.bos_token_id, auto.eos_token_id, auto.pad_token_id, auto.unk_token_id),
               (1, tokenizer.token_to_id("<|end|>"), 3, 0))
        expect("size in transformers", len(auto), tokenizer.get_vocab_size())
        for document in documents:
            document = document.decode(errors="replace")
            expect("ids in transformers", auto.encode(document, add_special_tokens=False),
                   tokenizer.encode(document, add_special_tokens=False).ids)


def compare_published(tokenizer):
    """GPT-2's ids of the strings that came with the vocabulary."""
    base = DATA / "tokenizers/gpt-2/ggml-vocab-gpt-2.gguf"
    strings = base.with_suffix(".gguf.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    wanted = [list(map(int, line.split())) for line in base.with_suffix(".gguf.out").read_text().splitlines()]
    assert len(strings) >= len(wanted) > 40
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "tokenizer.json").write_text(tokenizer.to_str())
        _, ids, *_ = run_driver(temporary, [string.encode() for string in strings[:len(wanted)]], Path(temporary))
    for string, ours, theirs in zip(strings, ids, wanted):
        expect(f"gpt-2 ids of {string!r}", ours, theirs)
    print(f"gpt-2: {len(wanted)} published strings")


def expect(what, got, wanted):
    global failures
    if got != wanted:
        failures += 1
        print(f"FAIL {what}: got {got}, wanted {wanted}")


def main():
    start = time.monotonic()
    hard, real = hard_documents(), real_documents()
    size = sum(map(len, hard + real))
    print(f"{len(hard)} hard and {len(real)} real documents, {size / 1e6:.2f} MB")
    assert size >= 10_000_000
    turn = iter(range(100))

    def share():
        if os.environ.get("ATTUNE_FULL"):
            return hard + real
        i = next(turn)
        return hard[i % 2::2] + real[i % 4::4]

    sample = real[::12]
    mistral = DATA / "tokenizers/mistral"
    v1 = sentencepiece.SentencePieceProcessor(str(mistral / "tokenizer.model.v1"))

    compare_published(gpt2())
    compare_tokenizers("gpt-2", gpt2(), share())
    compare_tokenizers("small-bpe", Tokenizer.from_file(str(DATA / "tokenizers/small-bpe/tokenizer.json")), share())
    llama3 = trained(LLAMA3, None, ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                                    "<|eot_id|>"] + [f"<|reserved_special_token_{i}|>" for i in range(250)], sample, ignore_merges=True)
    bos = llama3.token_to_id("<|begin_of_text|>")
    llama3.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)])])
    facts = compare_tokenizers("llama 3", llama3, share(), {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"})
    expect("llama 3 roles", (facts["bos"], facts["eos"], facts["add_bos"]), (bos, llama3.token_to_id("<|eot_id|>"), True))
    qwen2 = trained(QWEN2, normalizers.NFC(), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], sample)
    facts = compare_tokenizers("qwen 2", qwen2, share(), {"bos_token": None, "eos_token": {"content": "<|im_end|>"}, "add_bos_token": False})
    expect("qwen 2 roles", (facts["bos"], facts["add_bos"]), (-1, False))
    compare_tokenizers("tekken", trained(TEKKEN, None, ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], sample), share())
    facts = compare_tokenizers("mistral v1 as tokenizer.json, prepend", converted_sentencepiece(v1, False), share(), {"bos_token": "<s>"})
    expect("mistral roles", (facts["bos"], facts["add_bos"], facts["vocab_size"]), (1, True, 32000))
    compare_tokenizers("mistral v1 as tokenizer.json, metaspace", converted_sentencepiece(v1, True), share())
    compare_sentencepiece("mistral v1", mistral / "tokenizer.model.v1", share(), True)
    compare_sentencepiece("mistral v3", mistral / "mistral_instruct_tokenizer_240323.model.v3", share(), False)
    compare_trained(hard[::3] + real[::30], b"".join(real[::30]))
    for name, tokenizer in unusual(real[::80]):
        compare_tokenizers(name, tokenizer, hard[::6] + real[::80])

    print(f"{total_bytes / 1e6:.1f} MB compared in {time.monotonic() - start:.0f} s; {failures} differences")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
