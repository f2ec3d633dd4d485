//! Servers that speak TLS only, and want to see a certificate.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::deployment::{Access, assert_counted_once};
use crate::sentinel::{PASSWORD, WATCHWORD, sentinel_with};
use crate::support::{Node, Server, free_ports, said, server_program, small_dataset, wait_for};

/// Users, one in each shard.
const USERS: usize = 40;

/// Certificates and keys in files, in a folder of their own.
struct Certificates(TempDir);

impl Certificates {
    /// An authority, and what it has signed: for a server on this machine, and for a client.
    fn make() -> Certificates {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
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
        Certificates(folder)
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> String {
        self.folder().join(name).display().to_string()
    }

    /// Settings of a server that listens with them, to those who have one, and to nobody else.
    fn settings(&self, port: u16) -> Vec<[String; 2]> {
        [
            ("port", "0"),
            ("tls-port", &port.to_string()),
            ("tls-cert-file", &self.file("server.crt")),
            ("tls-key-file", &self.file("server.key")),
            ("tls-ca-cert-file", &self.file("ca.crt")),
            ("tls-auth-clients", "yes"),
            ("tls-replication", "yes"),
        ]
        .map(|(name, value)| [name.to_owned(), value.to_owned()])
        .to_vec()
    }

    /// The same as arguments.
    fn arguments(&self, port: u16) -> Vec<String> {
        let words = |[name, value]: [String; 2]| [format!("--{name}"), value];
        self.settings(port).into_iter().flat_map(words).collect()
    }

    /// Starts a server with them.
    fn serve(&self, port: u16) -> Node {
        Node::start(&self.folder().join("data"), 0, &self.arguments(port))
    }

    /// How a client that has one reaches a server.
    fn access(&self, url: &str) -> Access {
        Access::to(url)
            .with("SOJOURN_REDIS_CA", self.file("ca.crt"))
            .with("SOJOURN_REDIS_CERT", self.file("client.crt"))
            .with("SOJOURN_REDIS_KEY", self.file("client.key"))
    }
}

/// Whether the server program was built with TLS. Every Redis must be; smaller ones may not.
fn server_speaks_tls() -> bool {
    let program = server_program();
    let output =
        |arguments: &[&str]| said(&Command::new(&program).args(arguments).output().unwrap());
    let tried = output(&["--port", "0", "--tls-port", "1", "--tls-cert-file", "/none"]);
    // One that can misses the key; one that cannot complains about the options, or what it lacks.
    let speaks = tried.contains("No tls-key-file");
    if !speaks {
        let program = program.display();
        let version = output(&["--version"]);
        assert!(
            !version.contains("Redis"),
            "{program} was built without TLS: {version}"
        );
        eprintln!("skipped: {program} was built without TLS");
    }
    speaks
}

/// Certificates, if the server program has a use for them.
fn certificates() -> Option<Certificates> {
    server_speaks_tls().then(Certificates::make)
}

/// A whole run on servers that speak TLS only.
fn run_with(access: &Access, folder: &Path) {
    let dataset = small_dataset(folder, USERS, 1).display().to_string();
    let _processes = access.deploy();
    let status = access.ask(&["backfill", &dataset, "--watch"]);
    assert_counted_once(&status, USERS);
}

#[test]
fn a_run_over_tls_with_a_certificate_of_the_client() {
    let Some(certificates) = certificates() else {
        return;
    };
    let port = free_ports(1)[0];
    let _server = certificates.serve(port);
    let access = certificates.access(&format!("rediss://127.0.0.1:{port}"));
    run_with(&access, certificates.folder());
}

#[test]
fn a_run_over_tls_on_a_cluster() {
    let Some(certificates) = certificates() else {
        return;
    };
    let server = Server::start_cluster_of(0, |port| {
        let cluster = ["--tls-cluster", "yes"].map(str::to_owned);
        [certificates.arguments(port), cluster.to_vec()].concat()
    });
    let url = server.url();
    assert!(url.starts_with("redis://"), "{url}");
    // One node is enough to find the others.
    let (url, _) = url.split_once(',').unwrap();
    let access = certificates.access(&url.replace("redis:", "rediss:"));
    run_with(&access, certificates.folder());
    let plain = Access::to(url).command("sojourn", &["runs"]).output();
    assert_eq!(plain.unwrap().status.code(), Some(3));
}

#[test]
fn a_run_over_tls_with_the_primary_of_a_sentinel() {
    let Some(certificates) = certificates() else {
        return;
    };
    let ports = free_ports(2);
    let password = ["--requirepass", PASSWORD].map(str::to_owned);
    let arguments = [certificates.arguments(ports[0]), password.to_vec()].concat();
    let _server = Node::start(&certificates.folder().join("data"), 0, &arguments);
    let settings = certificates.settings(ports[1]);
    let settings: Vec<String> = settings.iter().map(|pair| pair.join(" ")).collect();
    let _sentinel = sentinel_with(
        certificates.folder(),
        ports[1],
        ports[0],
        &settings.join("\n"),
    );
    let access = certificates
        .access(&format!("rediss+sentinel://127.0.0.1:{}/orders", ports[1]))
        .with("SOJOURN_REDIS_PASSWORD", PASSWORD)
        .with("SOJOURN_REDIS_SENTINEL_PASSWORD", WATCHWORD);
    // A sentinel needs a moment to know its primary.
    wait_for("the primary", || {
        let output = access.command("sojourn", &["runs"]).output().unwrap();
        output.status.success().then_some(())
    });
    run_with(&access, certificates.folder());
}

#[test]
fn what_is_wrong_with_certificates_is_said() {
    let Some(certificates) = certificates() else {
        return;
    };
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
