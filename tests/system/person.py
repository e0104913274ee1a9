"""A person at the console, without a browser: signs in, reads pages, sends forms."""

import http.cookiejar
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Person:
    """An administrator of a product, signed in.

    Attributes:
        heard: every answer's headers and body.
    """

    def __init__(self, product, email="operator@example.org"):
        self.base = f"http://127.0.0.1:{product.web_port}"
        self.heard = []
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
        password = secrets.token_urlsafe(18)
        product.run("admin", "create", "--email", email, "--password-stdin", text=f"{password}\n")
        self.submit("/accounts/login/", {"login": email, "password": password})
        assert "/accounts/login/" not in self.read("/connections/")[1]

    def read(self, path, fields=None, **headers):
        """Status, final address and text of a page; with fields it is posted."""
        data = None if fields is None else urllib.parse.urlencode(fields).encode()
        address = path if path.startswith("http") else self.base + path
        sent = {"Referer": address, **{name.replace("_", "-"): text for name, text in headers.items()}}
        request = urllib.request.Request(address, data, sent)
        try:
            with self._opener.open(request, timeout=30) as response:
                return self._answer(response)
        except urllib.error.HTTPError as refused:
            with refused:
                return self._answer(refused)

    def _answer(self, response):
        raw = response.read()
        self.heard.append(repr(response.getheaders()).encode() + raw)
        return response.status, response.geturl(), raw.decode()

    def submit(self, path, fields, action=""):
        """Open a form's page and post the fields, to `action` if it is another address."""
        token = TOKEN.search(self.read(path)[2])
        assert token is not None, f"there is no form on {path}"
        return self.read(action or path, {"csrfmiddlewaretoken": token[1], **fields})
