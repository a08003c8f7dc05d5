#!/usr/bin/env python3
"""Runs a command on a terminal of its own and draws what it left there as an SVG picture, in which each line appears
when it appeared (time shortened to ten seconds; a viewer without animation shows the whole). How docs/demo.svg is made:

    python3 docs/make_picture.py -o docs/demo.svg -- build/release/attune demo

Python's standard library only. Knows what attune writes: colours, carriage return, erase to the end of the line, and
moves up by lines.
"""
import argparse
import codecs
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import time
from html import escape

SECONDS = 10.0
FONT_SIZE, LINE_HEIGHT, ADVANCE, MARGIN, BAR = 14, 19, 8.43, 18, 30
INK, PAPER, FAINT = "#d8dee9", "#1d2026", "#7b8494"
COLOURS = ["#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dee9"]
CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n\b\t])|([^\x1b\r\n\b\t])|\x1b.?")


def record(command, columns):
    """[(seconds, text)] of the command's terminal output; its exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns))
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    begun, pieces = time.monotonic(), []
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux: the other side is closed
            break
        if not data:
            break
        pieces.append((time.monotonic() - begun, decoder.decode(data)))
    return pieces, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Screen:
    """Lines of (character, style) cells and the time when each was first written."""

    def __init__(self):
        self.lines, self.times, self.row, self.column, self.style = [[]], [0.0], 0, 0, (INK, False)

    def write(self, seconds, text):
        for match in CONTROL.finditer(text):
            arguments, final, control, character = match.groups()
            if character is not None:
                self.put(seconds, character)
            elif control == "\n":
                self.row += 1
                while self.row >= len(self.lines):
                    self.lines.append([])
                    self.times.append(seconds)
            elif control == "\r":
                self.column = 0
            elif control == "\b":
                self.column = max(0, self.column - 1)
            elif control == "\t":
                self.column += 8 - self.column % 8
            elif final == "K":
                self.lines[self.row] = [] if arguments == "2" else self.lines[self.row][: self.column]
            elif final == "A":
                self.row = max(0, self.row - int(arguments or 1))
            elif final == "m":
                self.set_style([int(code or 0) for code in arguments.split(";")])

    def put(self, seconds, character):
        line = self.lines[self.row]
        if not line:
            self.times[self.row] = seconds
        line += [(" ", self.style)] * (self.column + 1 - len(line))
        line[self.column] = (character, self.style)
        self.column += 1

    def set_style(self, codes):
        colour, bold = self.style
        for code in codes:
            if code == 0:
                colour, bold = INK, False
            elif code in (1, 22):
                bold = code == 1
            elif code == 2:
                colour = FAINT
            elif code == 39:
                colour = INK
            elif 30 <= code <= 37 or 90 <= code <= 97:
                colour = FAINT if code == 90 else COLOURS[code % 10]
        self.style = (colour, bold)


def runs(line):
    """(column, text, style) of neighbouring cells of one style, blanks at the ends left out."""
    begin = 0
    for column in range(1, len(line) + 1):
        if column == len(line) or line[column][1] != line[begin][1]:
            text = "".join(character for character, _ in line[begin:column])
            if text.strip():
                offset = len(text) - len(text.lstrip())
                yield begin + offset, text.strip(), line[begin][1]
            begin = column


def picture(screen, title, columns):
    while len(screen.lines) > 1 and not screen.lines[-1]:
        screen.lines.pop()
    width, height = 2 * MARGIN + columns * ADVANCE, BAR + 2 * MARGIN + LINE_HEIGHT * len(screen.lines)
    scale = SECONDS / max(screen.times[: len(screen.lines)] + [SECONDS])
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">',
           f"<title>{escape(title)}</title>",
           "<style>text{white-space:pre;font:%dpx ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}"
           "@keyframes wait{from,to{opacity:0}}@media(prefers-reduced-motion){g{animation:none!important}}</style>"
           % FONT_SIZE,
           f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>']
    out += [f'<circle cx="{MARGIN + 18 * i}" cy="{BAR / 2 + 3}" r="5" fill="{colour}"/>'
            for i, colour in enumerate(("#e06c75", "#e5c07b", "#98c379"))]
    out.append(f'<text x="{width / 2:.0f}" y="{BAR / 2 + 8}" text-anchor="middle" fill="{FAINT}">{escape(title)}</text>')
    for number, line in enumerate(screen.lines):
        y = BAR + MARGIN + LINE_HEIGHT * (number + 0.75)
        parts = []
        for column, text, (colour, bold) in runs(line):
            weight = ' font-weight="bold"' if bold else ""
            parts.append(f'<text x="{MARGIN + ADVANCE * column:.1f}" y="{y:.1f}" textLength="{ADVANCE * len(text):.1f}"'
                         f' fill="{colour}"{weight}>{escape(text)}</text>')
        if parts:
            out.append(f'<g style="animation:wait {screen.times[number] * scale:.2f}s">' + "".join(parts) + "</g>")
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--title", help="above the picture; default: the command")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    pieces, status = record(arguments.command, arguments.columns)
    if status != 0:
        sys.exit(f"make_picture: the command ended with status {status}:\n" + "".join(text for _, text in pieces)[-2000:])
    screen = Screen()
    for seconds, text in pieces:
        screen.write(seconds, text)
    words = [os.path.basename(arguments.command[0]), *arguments.command[1:]]
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.write(picture(screen, arguments.title or "$ " + " ".join(words), arguments.columns))


if __name__ == "__main__":
    main()
