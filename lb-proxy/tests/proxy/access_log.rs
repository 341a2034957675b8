//! A line for each request.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use lb_proxy::log::{AccessLog, AccessLogConfig, Escape, Format, Target};

use crate::support::h2::{self, Frame, H2};
use crate::support::{Backend, Client, dead_address, eventually, proxy_with};

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let written = self.0.lock().expect("no panic");
        String::from_utf8(written.clone())
            .expect("text")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn log(format: &str) -> (Written, AccessLog) {
    let written = Written::default();
    let format = Format::parse(format, Escape::Default).expect("a format");
    let config = AccessLogConfig::new(Target::Writer(Box::new(written.clone())), format).buffer_size(0);
    (written, AccessLog::start(config).expect("a thread"))
}

#[test]
fn each_request_has_its_line_whatever_became_of_it() {
    let backend = Backend::text("hello");
    let (written, log) = log(
        r#""$request" $status $body_bytes_sent $host "$http_user_agent" $sent_http_content_length $upstream_name $upstream_status $request_completion $connection_requests"#,
    );
    let proxy = proxy_with(&[backend.address], |config| config.access_log(log));
    let mut client = Client::connect(proxy.addresses()[0]);
    client.ask("GET /a?b HTTP/1.1\r\nHost: Example.com:80\r\nUser-Agent: test \"1\"\r\n\r\n");
    client.ask("POST /up HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok");
    assert_eq!(client.ask("G@T / HTTP/1.1\r\n\r\n").status, 400);
    eventually("three lines", || written.lines().len() == 3);
    let lines = written.lines();
    assert_eq!(
        lines[0],
        r#""GET /a?b HTTP/1.1" 200 5 example.com "test \x221\x22" 5 app 200 OK 1"#
    );
    assert_eq!(lines[1], r#""POST /up HTTP/1.0" 200 5 a "-" 5 app 200 OK 2"#);
    let text = "400 Bad Request: malformed request head\n";
    let refused = format!(r#""G@T / HTTP/1.1" 400 {} "#, text.len());
    assert!(lines[2].starts_with(&refused), "{}", lines[2]);
}

#[test]
fn each_try_is_told() {
    let (dead, _socket) = dead_address();
    let backend = Backend::text("x");
    let (written, log) = log("$status $upstream_addr $upstream_status");
    let proxy = proxy_with(&[dead, backend.address], |config| config.access_log(log));
    assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 200);
    eventually("a line", || written.lines().len() == 1);
    assert_eq!(
        written.lines()[0],
        format!("200 {dead}, {} 502, 200", backend.address)
    );
}

#[test]
fn streams_of_http2_have_their_lines_too() {
    let backend = Backend::text("hello");
    let (dead, _socket) = dead_address();
    let (written, log) = log(
        r#""$request" $status $body_bytes_sent $host $http_x $sent_http_content_length $upstream_name $upstream_status $request_completion $connection_requests"#,
    );
    let proxy = proxy_with(&[backend.address], |config| config.access_log(log));
    let mut client = H2::connect(proxy.addresses()[0]);
    let fields = [&h2::get("/a?b")[..], &[("x", "y")]].concat();
    client.ask(1, &fields);
    eventually("a line", || written.lines().len() == 1);
    client.ask(
        3,
        &[
            (":method", "TRACE"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/"),
        ],
    );
    eventually("two lines", || written.lines().len() == 2);
    let lines = written.lines();
    assert_eq!(lines[0], r#""GET /a?b HTTP/2.0" 200 5 a y 5 app 200 OK 1"#);
    assert!(lines[1].starts_with(r#""TRACE / HTTP/2.0" 405 "#), "{}", lines[1]);

    // A stream that its client gives up.
    let silent = silent();
    let (written, log) = self::log("$status");
    let proxy = proxy_with(&[dead, silent.address], |config| config.access_log(log));
    let mut client = H2::connect(proxy.addresses()[0]);
    client.send(&Frame::headers(1, &h2::get("/"), true));
    eventually("the request is under way", || {
        proxy.config().upstream().status().backends[1].active == 1
    });
    drop(client);
    eventually("a line", || written.lines().len() == 1);
    assert!(written.lines()[0].starts_with("499"), "{:?}", written.lines());
}

fn silent() -> Backend {
    Backend::start(|_, _| {
        std::thread::sleep(crate::support::PATIENCE * 2);
        crate::support::Next::Close
    })
}
