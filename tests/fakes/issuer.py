"""An issuer of tokens: its keys as a JWKS, and tokens good and forged."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER, AUDIENCE = "https://id.example", "api"
SIGNER, STRANGER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
SHARED = b"a shared secret of sixty-four bytes, which HS512 wants, or more .."

_MAKERS = {"RSA": jwt.algorithms.RSAAlgorithm, "EC": jwt.algorithms.ECAlgorithm, "OKP": jwt.algorithms.OKPAlgorithm}


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """A public key as a JWK."""
    if isinstance(key, bytes):
        return {"kty": "oct", "k": b64(key), **({"kid": kid} if kid else {}), **more}
    kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC" if isinstance(key, ec.EllipticCurvePrivateKey) else "OKP"
    return {**json.loads(_MAKERS[kind].to_jwk(key.public_key())), **({"kid": kid} if kid else {}), **more}


def key_set(*keys: dict[str, Any]) -> bytes:
    """A JWKS document."""
    return json.dumps({"keys": list(keys)}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """Good claims, changed; None takes one away."""
    now = int(time.time())
    full = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "roles": ["user"], "iat": now, "exp": now + 300, **changed}
    return {name: value for name, value in full.items() if value is not None}


def token(key: Any = SIGNER, kid: str | None = "main", alg: str = "RS256", head: dict[str, Any] | None = None, **changed: Any) -> str:
    """A token, signed."""
    return jwt.encode(claims(**changed), key, alg, headers={**({"kid": kid} if kid else {}), **(head or {})})


def signed(payload: bytes) -> str:
    """Any bytes as a well signed token."""
    return str(jwt.api_jws.encode(payload, SIGNER, "RS256", headers={"kid": "main"}))


def forged(head: dict[str, Any], payload: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make."""
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(payload).encode())
    return text + "." + b64(sign(text.encode()))
