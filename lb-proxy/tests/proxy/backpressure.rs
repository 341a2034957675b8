//! Bodies stream as fast as the slower side, and pile up nowhere.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Backend, Client, Next, eventually, proxy_with};

/// More than the kernel's buffers of two connections and the proxy's own together.
const MUCH: usize = 256 * 1024 * 1024;

#[test]
fn an_answer_waits_for_a_slow_client() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let backend = Backend::start(move |_, stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
        let chunk = [b'x'; 65_536];
        while counter.load(Ordering::Relaxed) < MUCH && stream.write_all(&chunk).is_ok() {
            counter.fetch_add(chunk.len(), Ordering::Relaxed);
        }
        Next::Close
    });
    let proxy = proxy_with(&[backend.address], |config| config);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let stopped = stops(&sent);
    assert!((1..MUCH / 4).contains(&stopped), "{stopped}");
    let mut rest = client
        .socket()
        .try_clone()
        .expect("a descriptor")
        .take(MUCH as u64);
    assert_eq!(
        std::io::copy(&mut rest, &mut std::io::sink()).expect("no error"),
        MUCH as u64
    );
    assert_eq!(sent.load(Ordering::Relaxed), MUCH);
}

#[test]
fn a_request_waits_for_a_slow_backend() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let backend = Backend::raw(move |_, mut reader, _| {
        let mut byte = [0];
        let _ = reader.read(&mut byte);
        let _ = wait.lock().expect("no panic").recv();
        let mut stream = reader.get_ref().try_clone().expect("a descriptor");
        let _ = std::io::copy(&mut reader.take(MUCH as u64), &mut std::io::sink());
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    });
    let proxy = proxy_with(&[backend.address], |config| config.max_body(u64::MAX));
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MUCH}\r\n\r\n"
    ));
    let sent = Arc::new(AtomicUsize::new(0));
    let (counter, mut writer) = (
        Arc::clone(&sent),
        client.socket().try_clone().expect("a descriptor"),
    );
    let writing = std::thread::spawn(move || {
        while counter.load(Ordering::Relaxed) < MUCH {
            counter.fetch_add(
                writer.write(&[b'x'; 65_536]).expect("connected"),
                Ordering::Relaxed,
            );
        }
    });
    let stopped = stops(&sent);
    assert!((1..MUCH / 4).contains(&stopped), "{stopped}");
    go.send(()).expect("the backend waits");
    assert_eq!(client.response().text(), "x");
    let _ = writing.join();
}

/// Waits until the number no longer grows, and returns it.
fn stops(number: &AtomicUsize) -> usize {
    let mut last = 0;
    eventually("it stops", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = number.load(Ordering::Relaxed);
        let stopped = now == last && now > 0;
        last = now;
        stopped
    });
    last
}
