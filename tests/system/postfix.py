"""A real Postfix: own configuration, queue and ports, no system service. Needs root, as its master does.

It asks for STARTTLS and then SASL (Cyrus, PLAIN and LOGIN), lets each login send only as its own address, and
passes what it takes on to a next hop: a sink of the tests.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from scripted.certificates import the_certificate
from scripted.ports import free_port
from system.product import until

SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"
MASTER = "/usr/lib/postfix/sbin/master"

# What every instance of a test or bench has; `next_hop` is a port of loopback.
COMMON = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {home}
maillog_file = {home}/log
alternate_config_directories =
myhostname = mail.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
default_transport = smtp:[127.0.0.1]:{next_hop}
relay_transport = $default_transport
smtp_tls_security_level = none
smtp_dns_support_level = disabled
smtp_host_lookup = native
"""

MAIN = (
    COMMON
    + """\
mynetworks = 127.0.0.2/32
smtputf8_enable = yes
message_size_limit = 41943040
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {home}/sasl
smtpd_sasl_local_domain = mail.example.org
smtpd_sender_login_maps = inline:{{ {sender}={login}@mail.example.org }}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
"""
)

SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {home}/sasl/users
mech_list: PLAIN LOGIN
"""


def _once(settings):
    """The last value of each. Every process warns of one that is there twice, to a log that may not be read
    yet: with a few of them it would wait for ever.
    """
    unfolded = re.sub(r"\n(?=[ \t])", "", settings)  # a line that begins with a blank goes on
    lines = (line.partition("=") for line in unfolded.splitlines())
    values = {name.strip(): value for name, _, value in lines}
    return "".join(f"{name} ={value}\n" for name, value in values.items())


class Postfix:
    """Runs from entering to leaving.

    Args:
        settings: further lines of its main.cf, which prevail.

    Attributes:
        login, password: the one account; `sender` is the only address that it may send as.
    """

    def __init__(
        self,
        next_hop,
        *,
        sender="office@example.org",
        login="app",
        password="a word for Postfix",
        settings="",
    ):
        if os.geteuid() != 0:
            raise RuntimeError("Postfix runs as root only")
        self.next_hop, self.sender, self.login, self.password = next_hop, sender, login, password
        self.settings, self.port = settings, free_port()

    def __enter__(self):
        self.home = Path(tempfile.mkdtemp(prefix="vgm-postfix-"))
        self.home.chmod(0o755)
        self._configure()
        self._run("postfix", "-c", self.home / "etc", "check")
        # In the foreground, so that it ends with this process's wish and leaves no pid file to look for.
        self._master = subprocess.Popen(
            [MASTER, "-c", self.home / "etc", "-d"],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers, 20, what=f"an answer of Postfix, whose log is {self.log()!r},")
        return self

    def __exit__(self, *_):
        self._master.terminate()
        self._master.wait(10)
        time.sleep(0.1)  # its daemons notice that the master is gone
        shutil.rmtree(self.home, ignore_errors=True)

    def _configure(self):
        for folder in ("etc", "queue", "data", "sasl"):
            (self.home / folder).mkdir(mode=0o755)
        shutil.chown(self.home / "data", "postfix")
        chain, key = the_certificate().write(self.home / "etc")
        key.chmod(0o600)
        values = {**vars(self), "chain": chain, "key": key}
        (self.home / "etc" / "main.cf").write_text(_once(MAIN.format(**values) + self.settings))
        (self.home / "etc" / "master.cf").write_text(SERVICES.format(**values))
        (self.home / "sasl" / "smtpd.conf").write_text(SASL.format(**values))
        users = self.home / "sasl" / "users"
        self._run(
            "saslpasswd2", "-f", users, "-c", "-p", "-u", "mail.example.org", self.login, text=self.password
        )
        shutil.chown(users, "postfix")

    def _environment(self):
        return {"PATH": SBIN, "MAIL_CONFIG": str(self.home / "etc"), "LC_ALL": "C.UTF-8"}

    def _run(self, *words, text=""):
        done = subprocess.run(
            [str(word) for word in words],
            env=self._environment(),
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def _answers(self):
        assert self._master.poll() is None, f"Postfix ended: {self.log()}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plug:
                silent = "smtpd_tls_wrappermode = yes" in self.settings
                return silent or plug.recv(200)[:3].isdigit()  # a refusal is an answer too
        except OSError:
            return False

    def log(self):
        """What it logged."""
        path = self.home / "log"
        return path.read_text() if path.exists() else ""
