//! Mail over SMTP by lettre: implicit TLS on 465, STARTTLS where it is demanded, plain only where the configuration says so.
//!
//! A reply of 4xx is tried again, 5xx is final (RFC 5321, 4.2.1).

use std::path::Path;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransport, Error as SmtpError};
use lettre::{AsyncTransport, Tokio1Executor};
use router::config::{Email, TlsConfig};
use router::delivery::Outcome;
use router::mail::Mail;

use super::secret;

/// Longest wait for one answer of the server.
const COMMAND_WITHIN: Duration = Duration::from_secs(8);
/// Port on which TLS starts at once.
const SUBMISSIONS: u16 = 465;

pub(super) async fn send(base: &Path, email: &Email, mail: &Mail, key: &str) -> Outcome {
    let prepared = message(mail, key).and_then(|message| Ok((message, transport(base, email)?)));
    let (message, transport) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => return Outcome::Permanent { reason },
    };
    match transport.send(message).await {
        Ok(_) => Outcome::Ok,
        Err(error) if error.is_permanent() => Outcome::Permanent { reason: told(&error) },
        Err(error) => Outcome::retry(told(&error)),
    }
}

/// The message; `key` is the same for every attempt, so that a second copy has the same Message-ID.
fn message(mail: &Mail, key: &str) -> Result<Message, String> {
    let id: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect();
    let mut builder = Message::builder().from(mailbox(&mail.from)?).subject(&mail.subject).message_id(Some(format!("<{id}@tidemark>")));
    for to in &mail.to {
        builder = builder.to(mailbox(to)?);
    }
    for (name, value) in &mail.headers {
        let name = HeaderName::new_from_ascii(name.clone()).map_err(|_| format!("header name `{name}` is not valid"))?;
        builder = builder.raw_header(HeaderValue::new(name, value.clone()));
    }
    let plain = |text: &str| SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text.to_owned());
    let html = |text: &str| SinglePart::builder().header(ContentType::TEXT_HTML).body(text.to_owned());
    let built = match (&mail.text, &mail.html) {
        (Some(text), Some(page)) => builder.multipart(MultiPart::alternative().singlepart(plain(text)).singlepart(html(page))),
        (Some(text), None) => builder.singlepart(plain(text)),
        (None, Some(page)) => builder.singlepart(html(page)),
        (None, None) => builder.singlepart(plain("")),
    };
    built.map_err(|error| format!("the mail cannot be written: {error}"))
}

fn mailbox(address: &str) -> Result<Mailbox, String> {
    address.trim().parse().map_err(|error| format!("`{address}` is not a mail address: {error}"))
}

fn transport(base: &Path, email: &Email) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let (host, port) = &email.smarthost;
    let implicit = email.force_implicit_tls.unwrap_or(*port == SUBMISSIONS);
    let tls = match (implicit, email.require_tls) {
        (true, _) => Tls::Wrapper(parameters(base, host, &email.tls)?),
        (false, true) => Tls::Required(parameters(base, host, &email.tls)?),
        (false, false) => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(*port)
        .tls(tls)
        .timeout(Some(COMMAND_WITHIN))
        .hello_name(ClientId::Domain(email.hello.clone()));
    if !email.auth_username.is_empty() {
        let source = email.auth_password.as_ref().ok_or("auth_username is set, auth_password or auth_password_file is not")?;
        let password = secret::read(source, base)?;
        builder =
            builder.credentials(Credentials::new(email.auth_username.clone(), password)).authentication(vec![Mechanism::Plain, Mechanism::Login]);
    }
    Ok(builder.build())
}

fn parameters(base: &Path, host: &str, tls: &TlsConfig) -> Result<TlsParameters, String> {
    let name = tls.server_name.clone().unwrap_or_else(|| host.to_owned());
    let mut builder = TlsParameters::builder(name).dangerous_accept_invalid_certs(tls.insecure_skip_verify);
    if let Some(source) = &tls.ca {
        let pem = secret::read(source, base)?;
        builder = builder.add_root_certificate(Certificate::from_pem(pem.as_bytes()).map_err(|error| format!("ca: {error}"))?);
    }
    builder.build_rustls().map_err(|error| format!("tls: {error}"))
}

/// What the server said, or where it failed.
fn told(error: &SmtpError) -> String {
    match error.status() {
        Some(code) => format!("SMTP {code}: {error}"),
        None => format!("SMTP: {error}"),
    }
}
