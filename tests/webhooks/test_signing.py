"""Signatures, held against the example that the Standard Webhooks scheme is published with."""

from __future__ import annotations

import base64

from agentops.plugins.features.webhooks.signing import new_secret, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def test_the_published_example() -> None:
    assert signed_headers([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_are_two_signatures() -> None:
    other = new_secret()
    both = signed_headers([other, SECRET], "m", 1, BODY)["webhook-signature"].split(" ")
    assert both == [signed_headers([key], "m", 1, BODY)["webhook-signature"] for key in (other, SECRET)]


def test_a_new_secret_is_as_long_as_the_scheme_wants() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert secret != new_secret()
