//! Signatures of requests as Standard Webhooks 1.0.0 defines them: `v1`, HMAC-SHA256 over id, time and body.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What a secret begins with whose rest is base64, as the specification writes secrets.
const PREFIX: &str = "whsec_";

/// Signs requests. Does not show its key.
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// The key of `secret`: `whsec_` and base64, or any other text, whose bytes are the key.
    ///
    /// # Errors
    /// What is wrong with the secret, without repeating it.
    pub fn new(secret: &str) -> Result<Self, &'static str> {
        let bytes = match secret.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| "what follows whsec_ is not base64")?,
            None => secret.as_bytes().to_vec(),
        };
        if bytes.len() < 16 {
            return Err("it has fewer than 16 bytes: make one with `openssl rand -base64 32` and put whsec_ before it");
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp_s: u64, body: &str) -> String {
        let signed = format!("{id}.{timestamp_s}.{body}");
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, signed.as_bytes())))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_is_signed_as_there() {
        let key = SigningKey::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_weak_or_broken_secret_is_refused_without_being_shown() {
        assert!(SigningKey::new("short").unwrap_err().contains("fewer than 16"));
        assert!(SigningKey::new("whsec_***").unwrap_err().contains("not base64"));
        let key = SigningKey::new("a text of more than 16 bytes").unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }
}
