"""An LDAP directory, as a process of this test run, with three people and two groups in it."""

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.backends import Process, free_port, require

SCHEMAS = Path("/etc/ldap/schema")
ROOT_DN, ROOT_PASSWORD = "cn=cairn,dc=example,dc=org", "of cairn"
PEOPLE, GROUPS = "ou=people,dc=example,dc=org", "ou=groups,dc=example,dc=org"
ADA_ID = "0b8fe3b3-19b3-4a5e-8a47-1f6f7d0c3a01"

ENTRIES = f"""\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: uid=ada,{PEOPLE}
objectClass: inetOrgPerson
uid: ada
cn: Ada
sn: Ada
displayName: Ada Lovelace
mail: ada@example.org
userPassword: ada's password
entryUUID: {ADA_ID}

dn: cn=Eve (\\2c*),{PEOPLE}
objectClass: inetOrgPerson
uid: eve
cn: Eve (,*)
sn: Eve
userPassword: eve's password

dn: uid=twin,{PEOPLE}
objectClass: inetOrgPerson
uid: twin
cn: One
sn: One
userPassword: twin's password

dn: uid=twin,{GROUPS}
objectClass: inetOrgPerson
uid: twin
cn: Other
sn: Other
userPassword: twin's password

dn: cn=Finance,{GROUPS}
objectClass: groupOfNames
cn: Finance
member: uid=ada,{PEOPLE}
member: cn=Eve (\\2c*),{PEOPLE}

dn: cn=Board,{GROUPS}
objectClass: groupOfNames
cn: Board
member: uid=ada,{PEOPLE}
"""


class Slapd(Process):
    """Plain on `port` and, by TLS, on `tls_port`; `ca_file` vouches for it under the name localhost."""

    name = "slapd"

    def __init__(self) -> None:
        self._program = require("slapd", "slapd")
        self._loader = require("slapd", "slapadd")
        super().__init__()
        self.tls_port = free_port()
        self.ca_file = self.folder / "certificate.pem"

    def prepare(self) -> None:
        if (self.folder / "data").exists():
            return
        (self.folder / "data").mkdir()
        make_certificate(self.ca_file, self.folder / "key.pem")
        (self.folder / "slapd.conf").write_text(self._configuration())
        load = [self._loader, "-f", str(self.folder / "slapd.conf")]
        subprocess.run(load, input=ENTRIES.encode(), check=True, capture_output=True)

    def _configuration(self) -> str:
        return "\n".join(
            [
                *(f"include {SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson")),
                "modulepath /usr/lib/ldap",
                "moduleload back_mdb",
                "allow bind_anon_dn",  # a name without a password succeeds, as in many directories
                f"TLSCertificateFile {self.ca_file}",
                f"TLSCertificateKeyFile {self.folder}/key.pem",
                "database mdb",
                "suffix dc=example,dc=org",
                f"directory {self.folder}/data",
                f"rootdn {ROOT_DN}",
                f'rootpw "{ROOT_PASSWORD}"',
                "",
            ]
        )

    def command(self) -> Sequence[str]:
        addresses = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        return [self._program, "-f", str(self.folder / "slapd.conf"), "-h", addresses, "-d", "0"]


def make_certificate(certificate: Path, key_file: Path, address: str = "") -> None:
    """Make a certificate for the host “localhost”, and for this address, if there is one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    if address:
        names.append(x509.IPAddress(ip_address(address)))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
