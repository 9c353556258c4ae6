"""A terminal, as whoever types into one has it: tmux draws what a program writes, and types."""

import os
import re
import subprocess

from server import until

DONE = "the shell is back"


class Tmux:
    """A terminal of its own, of that size, in which a shell runs one line."""

    def __init__(self, program, folder, line, width=160, height=24, environment=None):
        self.program, self.socket = program, str(folder / f"tmux-{id(self):x}")
        size = ["-x", str(width), "-y", str(height)]
        variables = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | (environment or {})
        modes = "stty -a | tr ' ;' '\\n\\n' | grep -E '^-?(icanon|echo)$'"
        command = f'echo before; {line}; echo "code $?"; {modes}; echo {DONE}; cat'
        words = [program, "-S", self.socket, "-f", "/dev/null", "new-session", "-d", *size, command]
        subprocess.run(words, env=variables, check=True, timeout=60)

    def _ask(self, *words):
        words = [self.program, "-S", self.socket, *words]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def screen(self):
        return self._ask("capture-pane", "-p")

    def shows(self, pattern):
        """What it shows as soon as something in it matches."""
        return until(lambda: (text := self.screen()) and re.search(pattern, text) and text, f"{pattern} on the screen")

    def type(self, *keys):
        self._ask("send-keys", *keys)

    def close(self):
        subprocess.run([self.program, "-S", self.socket, "kill-server"], capture_output=True, timeout=60)
