//! Servers that speak TLS only, and want to see a certificate.

use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::deployment::{Access, assert_counted_once};
use crate::support::{Node, free_ports, said, server_program, small_dataset};

/// Users, one in each shard.
const USERS: usize = 40;

/// Certificates and keys in files.
struct Certificates(PathBuf);

impl Certificates {
    /// An authority, and what it has signed: for a server on this machine, and for a client.
    fn make(folder: &Path) -> Certificates {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
        write("ca.crt", authority.pem());
        for (name, host) in [("server", "127.0.0.1"), ("client", "client.test")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([host.to_owned()]).unwrap();
            // Of the same name as the authority, it would count as signed by itself.
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority).unwrap();
            write(&format!("{name}.crt"), certificate.pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Certificates(folder.into())
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Starts a server with them.
    fn serve(&self, port: u16) -> Node {
        let arguments = [
            ["--tls-port", &port.to_string()],
            ["--tls-cert-file", &self.file("server.crt")],
            ["--tls-key-file", &self.file("server.key")],
            ["--tls-ca-cert-file", &self.file("ca.crt")],
            ["--tls-auth-clients", "yes"],
        ];
        let arguments = arguments
            .as_flattened()
            .iter()
            .map(|argument| argument.to_string());
        Node::start(&self.0.join("data"), 0, &arguments.collect::<Vec<_>>())
    }
}

/// Whether the server program was built with TLS.
fn server_speaks_tls() -> bool {
    let tried = Command::new(server_program())
        .args(["--port", "0", "--tls-port", "1", "--tls-cert-file", "/none"])
        .output()
        .unwrap();
    // One that can misses the key; one that cannot complains about the options, or what it lacks.
    let speaks = said(&tried).contains("No tls-key-file");
    if !speaks {
        eprintln!(
            "skipped: {} was built without TLS",
            server_program().display()
        );
    }
    speaks
}

#[test]
fn a_run_over_tls_with_a_certificate_of_the_client() {
    if !server_speaks_tls() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let port = free_ports(1)[0];
    let _server = certificates.serve(port);
    let url = format!("rediss://127.0.0.1:{port}");
    let access = Access::to(&url)
        .with("SOJOURN_REDIS_CA", certificates.file("ca.crt"))
        .with("SOJOURN_REDIS_CERT", certificates.file("client.crt"))
        .with("SOJOURN_REDIS_KEY", certificates.file("client.key"));
    let dataset = small_dataset(folder.path(), USERS, 1).display().to_string();
    let _processes = access.deploy();
    let status = access.ask(&["backfill", &dataset, "--watch"]);
    assert_counted_once(&status, USERS);
}

#[test]
fn what_is_wrong_with_certificates_is_said() {
    if !server_speaks_tls() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let port = free_ports(1)[0];
    let _server = certificates.serve(port);
    let url = format!("rediss://127.0.0.1:{port}");
    let plain = format!("redis://127.0.0.1:{port}");
    let [ca, cert, key] =
        ["ca.crt", "client.crt", "client.key"].map(|name| certificates.file(name));
    let cases: [(&str, &[&str], i32, &str); 6] = [
        (&url, &[], 3, "UnknownIssuer"),
        (&url, &["--redis-ca", &ca], 3, "ertificate"),
        (
            &url,
            &["--redis-ca", &ca, "--redis-cert", &cert],
            3,
            "go together",
        ),
        (&url, &["--redis-ca", &key], 3, "certificate"),
        (&url, &["--redis-ca", "/none"], 2, "/none"),
        (&plain, &["--redis-ca", &ca], 3, "does not ask for TLS"),
    ];
    for (url, arguments, code, words) in cases {
        let arguments = [&["runs"], arguments].concat();
        let output = Access::to(url)
            .command("sojourn", &arguments)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            said(&output)
        );
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}
