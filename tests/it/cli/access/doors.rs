//! What may stand where an API server is looked for: a proxy, a web server, somebody who says nothing.

use std::io::{Read as _, Write as _, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::cluster::Cluster;

/// A proxy that makes tunnels (CONNECT): all of them to the API server of the rig, whatever they are asked for.
pub struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Proxy {
    /// Starts it; one that is closed refuses every tunnel.
    pub fn start(cluster: &Cluster, closed: bool) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (server, noted) = (cluster.rig.url().replace("https://", ""), asked.clone());
        let address = listen(move |mut from| {
            let head = head(&mut from);
            let whereto = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
            let password = head.to_ascii_lowercase().contains("proxy-authorization: basic ");
            noted.lock().unwrap().push((whereto.unwrap_or_default().to_owned(), password));
            if closed {
                let _ = from.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n");
                return;
            }
            let to = TcpStream::connect(&server).unwrap();
            from.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (back, forth) = (pair(&to, &from), pair(&from, &to));
            thread::spawn(move || carry(back));
            carry(forth);
        });
        Self { address, asked }
    }

    /// Where tunnels were asked to lead, and whether with a password.
    pub fn asked(&self) -> Vec<(String, bool)> {
        self.asked.lock().unwrap().clone()
    }
}

fn pair(from: &TcpStream, to: &TcpStream) -> (TcpStream, TcpStream) {
    (from.try_clone().unwrap(), to.try_clone().unwrap())
}

fn carry((mut from, mut to): (TcpStream, TcpStream)) {
    let _ = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.extend(byte);
    }
    String::from_utf8(read).unwrap()
}

/// A web server without TLS.
pub fn plain_http() -> SocketAddr {
    listen(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Write);
        // What it was sent is read, or closing would throw away what it said.
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Somebody who takes connections and says nothing.
pub fn silent() -> SocketAddr {
    listen(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}
