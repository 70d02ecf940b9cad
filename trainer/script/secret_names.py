"""Names of files that hold keys and passwords, so that none of them is shown to a candidate.

A list of names, no proof: what is shown is a decision of the user's, and this catches a slip.
"""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = re.compile(
    r"""
      \.env | \.env\..* | .*\.env | \.netrc | \.npmrc | \.pypirc | \.pgpass | \.htpasswd
    | \.git-credentials | \.dockercfg | \.boto | \.s3cfg | \.vault-token
    | id_(?:rsa|dsa|ecdsa|ed25519)(?:_.*)? | .*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk|gpg)
    | (?:.*[-_.])?(?:secrets?|credentials?|passwords?|passwd|api[-_]?keys?|tokens?)
      (?:\.(?:json|ya?ml|toml|ini|cfg|txt|conf|env|py))?
    | (?:client_secret|service[-_]?account).*\.json | wandb_key.* | kubeconfig
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FOLDERS: Final = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".azure", ".docker", ".gcloud"})
_EXAMPLES: Final = re.compile(r".*[._-](?:example|sample|template|dist)$", re.IGNORECASE)
_HARMLESS: Final = frozenset({"tokens", "tokens.py", "tokens.txt", "tokens.json"})
"""Of language models, not of servers."""


def looks_secret(name: str) -> bool:
    """Whether a file or folder of this name (no path) is likely to hold keys or passwords."""
    if name.lower() in _HARMLESS or _EXAMPLES.fullmatch(name):
        return False
    return name.lower() in _FOLDERS or _NAMES.fullmatch(name) is not None
