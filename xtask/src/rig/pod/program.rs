//! The program in the rig's own images. It is compiled by `rustc` alone, static, with no dependency.
//!
//! `pod` waits for ever, `pod serve PORT` answers HTTP with the pod's name, `pod get HOST:PORT` prints such an answer,
//! `pod show FILE` prints a file.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", port] => serve(port),
        ["get", address] => get(address),
        ["show", file] => {
            print!("{}", std::fs::read_to_string(file)?);
            Ok(())
        }
        _ => loop {
            std::thread::park();
        },
    }
}

fn serve(port: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    let name = std::env::var("HOSTNAME").unwrap_or_default();
    println!("{name} serves on {port}");
    for stream in listener.incoming() {
        // A client that goes away is no reason to end.
        let _ = stream.and_then(|stream| respond(stream, &name));
    }
    Ok(())
}

fn respond(mut stream: TcpStream, name: &str) -> std::io::Result<()> {
    stream.set_read_timeout(PATIENCE)?;
    // To the blank line: a connection that is closed with something unread is reset.
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&part[..count]),
        }
    }
    let length = name.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}")
}

fn get(address: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(PATIENCE)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    // At once: a server may answer, and hang up, after the first part that it does not like.
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("{}", answer.split("\r\n\r\n").nth(1).unwrap_or_default());
    Ok(())
}
