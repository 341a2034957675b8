//! A proxy beside VRRP.

use std::time::Duration;

use vrrp_net::lab::LabTest;

use crate::process::{Daemon, data, ha_stack};
use crate::support::Folder;
use crate::tutorial::{TAKEOVER, tutorial_lab};

#[test]
fn a_keepalived_conf_and_a_toml_file_run_together() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("together");
        let proxy = folder.join("proxy.toml");
        std::fs::write(
            &proxy,
            "[[upstream]]\nname = \"tomcat\"\nbackends = [\"192.168.192.20:8080\"]\n\
             [[proxy]]\nlisten = \"192.168.192.130:80\"\nworkers = 1\n\
             [[check]]\nname = \"proxy\"\ntcp = \"192.168.192.130:80\"\nweight = -20\n",
        )
        .unwrap();
        let backend = lab
            .host("client")
            .run(|| std::net::TcpListener::bind("192.168.192.20:8080"))
            .unwrap();
        let serving = std::thread::spawn(move || answer_one(&backend));
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf"), proxy]);
        lb1.wait_for(TAKEOVER, |router| router.state == "master");
        let response = lab.host("client").run(|| get("192.168.192.130:80", "/weight"));
        assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
        assert!(response.ends_with("<h1>port:8080</h1>"), "{response}");
        serving.join().unwrap();
        let report = lb1.report();
        assert_eq!(report.upstreams.len(), 1);
        assert_eq!(report.upstreams[0].backends[0].requests, 1);
        assert_eq!(report.checks[0].name, "proxy");
        lb1.stop();
    });
}

#[test]
fn a_port_that_is_taken_is_one_line_and_nothing_stays() {
    LabTest::new().run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("taken");
        let proxy = folder.join("proxy.toml");
        std::fs::write(
            &proxy,
            "[[upstream]]\nname = \"a\"\nbackends = [\"192.168.192.20:8080\"]\n[[proxy]]\nlisten = \"0.0.0.0:80\"\n",
        )
        .unwrap();
        let taken = lab.host("lb1").run(|| std::net::TcpListener::bind("0.0.0.0:80")).unwrap();
        let mut command = ha_stack();
        command.arg("run").arg(data("tutorial-master.conf")).arg(&proxy);
        command.arg("--socket").arg(folder.join("s"));
        let output = lab.host("lb1").output(command).unwrap();
        drop(taken);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap();
        assert!(last.starts_with("ha-stack: proxy a: ") && last.contains("0.0.0.0:80"), "{stderr}");
        assert!(last.contains("another program listens there"), "{stderr}");
        assert!(!folder.join("s").exists());
    });
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};

    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn answer_one(listener: &std::net::TcpListener) {
    use std::io::{Read as _, Write as _};

    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        request.push(octet[0]);
    }
    let body = "<h1>port:8080</h1>";
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
}
