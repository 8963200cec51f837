//! Who we are to a server: nobody, a token, a password, an nkey, or a user's JWT with its nkey. Secrets of files are read when a connection is opened and not
//! kept, so that a renewed file is used at the next one; nothing of them is ever shown. Must not know: sockets.
//!
//! Source: docs.nats.io, "NATS Protocol" (CONNECT: auth_token, user, pass, nkey, jwt, sig), ADR-26 (credentials files), and the `nkeys` crate for seeds and signatures.

use std::fmt;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;

use crate::config::LoginFile;

/// Who we are. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Login {
    #[default]
    Nobody,
    Token(String),
    Password {
        user: String,
        password: String,
    },
    /// From a file: an nkey, or credentials.
    File(LoginFile),
}

/// Fields of CONNECT that say who we are: names and values.
pub(super) type Fields = Vec<(&'static str, String)>;

// === impl Login ===

impl Login {
    /// What CONNECT says, signed for this connection.
    ///
    /// # Errors
    /// The file cannot be read or holds no seed, or the server asks for no signature.
    pub(super) fn fields(&self, nonce: Option<&str>) -> io::Result<Fields> {
        Ok(match self {
            Self::Nobody => Vec::new(),
            Self::Token(token) => vec![("auth_token", token.clone())],
            Self::Password { user, password } => vec![("user", user.clone()), ("pass", password.clone())],
            Self::File(file) => {
                let secret = Secret::read(file)?;
                let nonce = nonce.ok_or_else(|| refused(file.path(), "the server asks for no signature: it knows neither nkeys nor JWTs"))?;
                let signature = secret.key.sign(nonce.as_bytes()).map_err(|error| refused(file.path(), error))?;
                let (name, value) = secret.jwt.map_or_else(|| ("nkey", secret.key.public_key()), |jwt| ("jwt", jwt));
                vec![(name, value), ("sig", URL_SAFE_NO_PAD.encode(signature))]
            }
        })
    }

    /// Reads its file, if it has one, to say at once what is wrong with it.
    ///
    /// # Errors
    /// As [`fields`](Self::fields).
    pub(super) fn check(&self) -> io::Result<()> {
        match self {
            Self::File(file) => Secret::read(file).map(|_| ()),
            Self::Nobody | Self::Token(_) | Self::Password { .. } => Ok(()),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Password { .. } => f.write_str("Password(…)"),
            Self::File(file) => write!(f, "File({})", file.path().display()),
        }
    }
}

/// What a file holds.
struct Secret {
    key: KeyPair,
    jwt: Option<String>,
}

// === impl Secret ===

impl Secret {
    fn read(file: &LoginFile) -> io::Result<Self> {
        let path = file.path();
        let text = std::fs::read_to_string(path).map_err(|error| refused(path, error))?;
        // The crate's errors do not show what they were given.
        let seed =
            text.lines().map(str::trim).find(|line| line.starts_with("SU")).ok_or_else(|| refused(path, "no user's seed (a line SU…) in it"))?;
        let key = KeyPair::from_seed(seed).map_err(|error| refused(path, error))?;
        let jwt = match file {
            LoginFile::Nkey(_) => None,
            LoginFile::Credentials(_) => Some(jwt_in(&text).ok_or_else(|| refused(path, "no JWT (a line eyJ…) in it"))?.to_owned()),
        };
        Ok(Self { key, jwt })
    }
}

/// The JWT of a credentials file: the line that begins as base64 of `{"` does.
fn jwt_in(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| line.starts_with("eyJ") && line.matches('.').count() == 2)
}

fn refused(path: &Path, why: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_signs_the_nonce_and_is_read_anew_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = (dir.path().join("user"), KeyPair::new_user());
        let seed = key.seed().unwrap();
        std::fs::write(&path, format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n")).unwrap();
        let login = Login::File(LoginFile::Nkey(path.clone()));
        let fields = login.fields(Some("nonce")).unwrap();
        assert_eq!((fields[0].clone(), fields[1].0), (("nkey", key.public_key()), "sig"));
        key.verify(b"nonce", &URL_SAFE_NO_PAD.decode(&fields[1].1).unwrap()).unwrap();
        assert!(login.check().is_ok() && login.fields(None).unwrap_err().to_string().contains("asks for no signature"));
        let credentials = Login::File(LoginFile::Credentials(path.clone()));
        assert!(credentials.fields(Some("n")).unwrap_err().to_string().contains("no JWT"));
        std::fs::write(&path, format!("-----BEGIN NATS USER JWT-----\r\neyJhIjoxfQ.eyJiIjoyfQ.c2ln\r\n------END NATS USER JWT------\r\n{seed}\r\n"))
            .unwrap();
        assert_eq!(credentials.fields(Some("n")).unwrap()[0], ("jwt", "eyJhIjoxfQ.eyJiIjoyfQ.c2ln".to_owned()));
        assert!(!format!("{credentials:?}").contains(&seed));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user");
        let login = Login::File(LoginFile::Nkey(path.clone()));
        assert!(login.check().unwrap_err().to_string().contains("No such file"));
        let account = KeyPair::new_account().seed().unwrap();
        for text in ["", "hello", "SUANOSEED", account.as_str()] {
            std::fs::write(&path, text).unwrap();
            let error = login.check().unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()) && !error.contains("SUANOSEED"), "{error}");
        }
    }
}
