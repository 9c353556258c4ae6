"""Chromium, as whoever opens the page has it."""

import base64
import json
from importlib.resources import files

from playwright.sync_api import sync_playwright
from server import until

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
"""axe-core, which looks for what keeps people out."""

LISTENER = """
window.starts = 0;
window.plays = [];
window.marked = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...asked) {
  window.starts += 1;
  return start.apply(this, asked);
};
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  window.plays.push(this.currentTime);
  return play.call(this);
};
new MutationObserver((changes) => {
  for (const {target} of changes) if (target.classList.contains('now')) window.marked.push(target.textContent);
}).observe(document, {subtree: true, attributeFilter: ['class']});
"""
"""Notes what is played while it is made, from where else something is played, and which words are marked meanwhile."""

DROP = """
(target, [name, type, text, paste]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, {type}));
  const how = {bubbles: true, cancelable: true};
  target.dispatchEvent(paste
    ? new ClipboardEvent('paste', {clipboardData: dataTransfer, ...how})
    : new DragEvent('drop', {dataTransfer, ...how}));
}
"""


class Browser:
    """`heard` is what its microphone hears, once."""

    def __init__(self, program, heard):
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(
            executable_path=program,
            args=[
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={heard}%noloop",
            ],
        )

    def open(self, server, part="models", path=None, key=None, width=1280, scheme="light", mocks=None):
        """`path` is another page than that at `/`, of which `part` is shown."""
        return Visit(self._chromium, server, path or f"#{part}", key, width, scheme, mocks or {})

    def close(self):
        self._chromium.close()
        self._playwright.stop()


class Visit:
    """A tab that shows the page of a server; what its console says is kept. `mocks` maps patterns to handlers."""

    def __init__(self, chromium, server, path, key, width, scheme, mocks):
        size = {"width": width, "height": 860}
        self.context = chromium.new_context(viewport=size, color_scheme=scheme, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.add_init_script(LISTENER)
        if key:
            self.page.add_init_script(f"sessionStorage.setItem('sconce.key', {json.dumps(key)})")
        self.server, self.complaints, self.asked = server, [], []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        for pattern, handler in mocks.items():
            self.page.route(pattern, handler)
        self.page.goto(f"{server.url}/{path}")

    def _hear(self, message):
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location['url']}")

    def part(self, name):
        """Goes to a part of the page; its section."""
        self.page.click(f"nav a[href='#{name}']")
        view = self.page.locator(f"#view-{name}")
        # The browser tells the page of its new address after the click has returned.
        view.wait_for()
        return view

    def until(self, expression):
        """What an expression gives as soon as it is true. The policy of the page forbids Playwright's own way to wait for it."""
        return until(lambda: self.page.evaluate(expression), expression)

    def drop(self, path, kind="audio/wav", paste=False):
        """Drops a file where recordings are taken, or pastes it."""
        place = self.page.locator("section:not([hidden]) .drop").first
        place.evaluate(DROP, [path.name, kind, base64.b64encode(path.read_bytes()).decode(), paste])

    def violations(self):
        """What axe-core finds, a line each."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        faults = [(rule["id"], node) for rule in found for node in rule["nodes"]]
        return [f"{name}: {node['html'][:120]} {node['failureSummary']}" for name, node in faults]

    def foreign(self):
        """Requests to anybody but the server."""
        return [url for url in self.asked if not url.startswith((f"{self.server.url}/", "blob:", "data:"))]

    def close(self):
        self.context.close()
