//! Certificates and keys from files, and what is said of those that can't be used.

use std::path::PathBuf;
use std::time::Duration;

use lb_proxy::tls::{CaBundle, Certificate, PemProblem, ValidityWarning};

use crate::support::Ca;

#[test]
fn a_chain_and_its_key_come_from_files() {
    let ca = Ca::new("ca");
    let pair = ca.sign(&["a.example", "*.b.example"]);
    let folder = Folder::new("chain");
    let chain = folder.write("site.pem", &format!("subject=a\n{}\n{}", pair.chain, ca.pem));
    let key = folder.write("site.key", &pair.key);
    let certificate = Certificate::from_files(&chain, &key).expect("a certificate");
    assert_eq!(certificate.names(), ["a.example", "*.b.example"]);
    assert_eq!(certificate.subject(), "CN=a.example");
    assert_eq!(certificate.file(), chain.display().to_string());
    // As HAProxy has it: all in one file.
    let both = folder.write(
        "both.pem",
        &format!("{}{}", pair.chain, pair.key).replace('\n', "\r\n"),
    );
    assert!(Certificate::from_files(&both, &both).is_ok());
    let bundle = folder.write("ca.pem", &format!("{}{}", ca.pem, Ca::new("other").pem));
    assert_eq!(CaBundle::from_file(&bundle).expect("a bundle").len(), 2);
}

#[test]
fn a_chain_that_cannot_be_used_is_named_with_its_line() {
    let ca = Ca::new("ca");
    let pair = ca.sign(&["a.example"]);
    let (cut, _) = pair.chain.split_once("-----END").expect("PEM");
    let junk = pair.chain.replace("MII", "M!I");
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let request = pair.chain.replace("CERTIFICATE", "CERTIFICATE REQUEST");
    for (text, said) in [
        ("", "site.pem: the file is empty"),
        (" \n\n", "site.pem: the file is empty"),
        (
            "hello",
            "site.pem: no certificate: no line says -----BEGIN CERTIFICATE-----, nor -----BEGIN anything",
        ),
        (
            "0\u{82}\u{3}binary",
            "site.pem: the file is binary; PEM is needed, which `openssl x509 -inform der`",
        ),
        (
            &pair.key,
            "site.pem: no certificate: no line says -----BEGIN CERTIFICATE-----, only PRIVATE KEY",
        ),
        (&request, "only CERTIFICATE REQUEST"),
        (
            cut,
            "site.pem:1: -----BEGIN CERTIFICATE----- without -----END CERTIFICATE-----",
        ),
        (
            &format!("{}\n\n{cut}{}", pair.chain, pair.chain),
            "without -----END CERTIFICATE-----",
        ),
        (
            &format!("\n\n{junk}"),
            "site.pem:3: what follows -----BEGIN CERTIFICATE----- is not valid Base64",
        ),
        (not_x509, "site.pem:1: the certificate can't be read ("),
        (
            &format!("# a comment\n{}{not_x509}", pair.chain),
            "the certificate can't be read (",
        ),
    ] {
        let folder = Folder::new("bad-chain");
        let (chain, key) = (
            folder.write("site.pem", text),
            folder.write("site.key", &pair.key),
        );
        let error = Certificate::from_files(&chain, &key).expect_err(said).to_string();
        assert!(error.contains(said), "{error}\n  does not say\n{said}");
        assert!(error.contains(&chain.display().to_string()), "{error}");
    }
    let error = CaBundle::from_pem(not_x509.as_bytes()).expect_err("not X.509");
    assert!(
        error
            .to_string()
            .starts_with("CA bundle:1: the certificate can't be read"),
        "{error}"
    );
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_its_line() {
    let ca = Ca::new("ca");
    let pair = ca.sign(&["a.example"]);
    let encrypted = pair.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
        DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let wrong = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (text, line, said) in [
        ("", None, "the file is empty"),
        (
            &pair.chain[..],
            None,
            "no private key: no line says -----BEGIN PRIVATE KEY-----, only CERTIFICATE",
        ),
        (
            &encrypted,
            Some(1),
            "decrypt it with `openssl pkey -in <this file> -out <new file>`",
        ),
        (
            &format!("\n{old_encrypted}"),
            Some(2),
            "the private key is encrypted",
        ),
        (
            &format!("{}{}", pair.key, pair.key),
            Some(6),
            "a second private key, the first begins on line 1",
        ),
        (wrong, Some(1), "the private key can't be used ("),
        (
            &pair.key.replace("PRIVATE", "DSA PRIVATE"),
            Some(1),
            "it is of the kind \"DSA PRIVATE KEY\"",
        ),
    ] {
        let error = Certificate::from_pem(pair.chain.as_bytes(), text.as_bytes()).expect_err(said);
        assert!(
            error.to_string().contains(said),
            "{error}\n  does not say\n{said}"
        );
        assert_eq!((error.file(), error.line()), ("private key", line), "{error}");
    }
}

#[test]
fn a_key_of_another_certificate_is_refused_with_what_to_do() {
    let ca = Ca::new("ca");
    let (a, b) = (ca.sign(&["a.example"]), ca.sign(&["b.example"]));
    let error = Certificate::from_pem(a.chain.as_bytes(), b.key.as_bytes()).expect_err("not its key");
    assert!(
        error.to_string().starts_with(
            "private key:1: the private key is not that of the certificate of \"CN=a.example\" (certificate chain:1)"
        ),
        "{error}"
    );
    // The order that many get wrong: the CA first.
    let upside_down = format!("{}{}", ca.pem, a.chain);
    let error = Certificate::from_pem(upside_down.as_bytes(), a.key.as_bytes()).expect_err("upside down");
    let below = ca.pem.lines().count() + 1;
    assert!(
        matches!(error.problem(), PemProblem::Order { line, .. } if *line == below),
        "{error}"
    );
    assert!(error.to_string().contains("that one must stand first"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new("missing");
    let path = folder.0.join("site.pem");
    let error = Certificate::from_files(&path, &path)
        .expect_err("not there")
        .to_string();
    assert!(
        error.starts_with(&format!("{}: can't be read: No such file", path.display())),
        "{error}"
    );
}

#[test]
fn an_expired_certificate_is_loaded_with_a_warning() {
    let ca = Ca::new("ca");
    let certificate = ca
        .sign_with(&["a.example"], |params| {
            params.not_before = rcgen::date_time_ymd(2024, 2, 28);
            params.not_after = rcgen::date_time_ymd(2024, 2, 29);
        })
        .certificate();
    let validity = certificate.validity();
    // 2024-02-29 00:00 UTC.
    assert_eq!(validity.not_after, Duration::from_secs(1_709_164_800));
    let warning = validity.warning(Duration::from_secs(1_709_164_801), Duration::ZERO);
    assert_eq!(warning, Some(ValidityWarning::Expired(validity.not_after)));
    assert_eq!(
        warning.expect("expired").to_string(),
        "expired at 2024-02-29T00:00:00Z: clients refuse it, renew it"
    );
}

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lb-proxy-tls-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
