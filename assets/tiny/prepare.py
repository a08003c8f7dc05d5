#!/usr/bin/env python3
"""Builds the pretraining corpus of the bundled model from the permissively licensed material in ../shared/data.

    python3 assets/tiny/prepare.py ../shared/data build/tiny-corpus

Writes prose.txt (documents separated by a line with a form feed) and dialogue.jsonl ({"messages":[...]}).
Only the Python standard library. What is taken from where, and under which licence: NOTICE beside this file.
"""
import json, random, re, sys, unicodedata
from pathlib import Path

MAX_TURNS = 8
QUOTE = re.compile(r'"([^"]{2,400})"')
SPEAKER = re.compile(r'^\[\d\d:\d\d\] <([^>]+)> (.*)$')
NAME = "friend"          # stands for every nickname


def plain(text):
    """Typographic characters the small vocabulary need not know, made plain."""
    text = unicodedata.normalize("NFKC", text)
    for a, b in {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": " - ", "--": " - "}.items():
        text = text.replace(a, b)
    return re.sub(r"[ \t]+", " ", text.replace("_", "").replace("*", "")).strip()


def spoken(paragraph):
    """The words in quotation marks, when they are most of what the paragraph says; else None."""
    parts = QUOTE.findall(paragraph)
    words = " ".join(p.strip() for p in parts)
    if not parts or not paragraph.startswith('"') or len(words) < 0.45 * len(paragraph) or len(words) > 240:
        return None
    words = re.sub(r",$", ".", words.strip())
    return words if re.search(r"[a-z]", words) else None


def book_dialogues(paragraphs):
    """Runs of two or more paragraphs of speech in a row: two people take turns, as novels are set."""
    run = []
    for paragraph in paragraphs + [""]:
        words = spoken(paragraph)
        if words:
            run.append(words)
            continue
        for start in range(0, len(run) - 1, MAX_TURNS):
            yield run[start:start + MAX_TURNS]
        run = []


def books(folder):
    documents, dialogues = [], []
    text = (folder / "books_en/classic_books_16MB.txt").read_text(encoding="utf-8", errors="replace")
    for chapter in re.split(r"\n#+ [^\n]*\n|\n-{5,}\n", text):
        paragraphs = [plain(" ".join(p.split())) for p in re.split(r"\n\s*\n", chapter)]
        paragraphs = [p for p in paragraphs if p and not p.startswith(("#", "|", "!["))]
        if sum(map(len, paragraphs)) < 400:
            continue
        documents.append("\n".join(paragraphs))
        dialogues += book_dialogues(paragraphs)
    stories = (folder / "books_en/african_storybook/asp_en_ccby.txt").read_text(encoding="utf-8", errors="replace")
    for story in re.split(r"^# ", stories, flags=re.M):
        title, _, body = story.partition("\n")
        if len(body) > 100:
            documents.append(plain(title) + "\n" + plain(" ".join(body.split())))
    return documents, dialogues


def taskmaster(folder):
    for line in (folder / "dialog_en/taskmaster4.jsonl").open(encoding="utf-8"):
        turns = []
        for turn in json.loads(line)["turns"]:
            text = plain(turn["text"])
            if not text:
                continue
            if turns and turns[-1][0] == turn["role"]:
                turns[-1][1] += " " + text
            else:
                turns.append([turn["role"], text])
        while turns and turns[0][0] != "user":
            turns.pop(0)
        yield [text for _, text in turns[:MAX_TURNS]]


def irc(folder):
    """Question and reply chains from the reply links; nicknames, addresses and links are left out."""
    for annotation in sorted((folder / "dialog_en/ubuntu_irc").glob("*/*.annotation.txt")):
        raw = annotation.with_name(annotation.name.replace(".annotation.txt", ".raw.txt"))
        lines = raw.read_text(encoding="utf-8", errors="replace").splitlines()
        names = {m.group(1).lower() for line in lines if (m := SPEAKER.match(line))}
        reply_to = {}
        for link in annotation.read_text().splitlines():
            a, b = sorted(map(int, link.split()[:2]))
            if a != b:
                reply_to[b] = a
        parents = set(reply_to.values())

        def said(index):
            m = SPEAKER.match(lines[index]) if index < len(lines) else None
            if not m:
                return None, None
            words = plain(m.group(2))
            words = re.sub(r"^[^\s:,]{2,20}[:,] ", "", words)
            if re.search(r"https?://|www\.|@|[/\\]\w+/|[{}<>|=$]", words) or not 8 <= len(words) <= 160:
                return None, None
            words = " ".join(NAME if w.strip(".,:;!?()").lower() in names and len(w) > 3 else w for w in words.split())
            return m.group(1), words

        for leaf in (i for i in reply_to if i not in parents):
            chain, index = [], leaf
            while index is not None and len(chain) < MAX_TURNS:
                who, words = said(index)
                if words is None:
                    break
                if chain and chain[-1][0] == who:
                    chain[-1][1] = words + " " + chain[-1][1]
                else:
                    chain.append([who, words])
                index = reply_to.get(index)
            if len(chain) >= 2:
                yield [words for _, words in reversed(chain)]


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    documents, dialogues = books(source)
    counts = {"books": len(dialogues)}
    for name, more in (("taskmaster", taskmaster(source)), ("irc", irc(source))):
        more = [d for d in more if len(d) >= 2]
        counts[name] = len(more)
        dialogues += more
    random.Random(1).shuffle(documents)
    random.Random(2).shuffle(dialogues)
    with (target / "dialogue.jsonl").open("w", encoding="utf-8") as out:
        for turns in dialogues:
            turns = turns[:len(turns) // 2 * 2]
            roles = ("user", "assistant")
            out.write(json.dumps({"messages": [{"role": roles[i % 2], "content": t} for i, t in enumerate(turns)]},
                                 ensure_ascii=False) + "\n")
    (target / "prose.txt").write_text("\n\f\n".join(documents) + "\n", encoding="utf-8")
    print(f"{len(documents)} documents, {sum(map(len, documents))} characters; dialogues: {counts}, "
          f"{sum(len(t) for d in dialogues for t in d)} characters")


if __name__ == "__main__":
    main()
