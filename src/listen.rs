//! Listening on an address, for all that serves: where every address is meant, by whatever family there is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

/// Listens. `[::]` is every address of both families; where there is no IPv6 at all, it is every IPv4 address.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    by(address, TcpListener::bind).await
}

async fn by<T, F: Future<Output = io::Result<T>>>(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let failure = match bind(address).await {
        Ok(listener) => return Ok(listener),
        Err(failure) => failure,
    };
    // Of a family that is not there the kernel says so in words of its own; what is in use or forbidden is that for both.
    let other = matches!(failure.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
    if other || !(address.is_ipv6() && address.ip().is_unspecified()) {
        return Err(failure);
    }
    bind((Ipv4Addr::UNSPECIFIED, address.port()).into()).await.map_err(|_| failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::sync::Mutex;

    #[tokio::test]
    async fn every_address_is_that_of_both_families() {
        let listener = listen("[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        // Where this host has it.
        if TcpListener::bind("[::1]:0").await.is_ok() {
            TcpStream::connect(("::1", port)).unwrap();
        }
        let taken = listen((Ipv4Addr::LOCALHOST, port).into()).await;
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn without_ipv6_every_address_is_that_of_ipv4() {
        let tried = Mutex::new(Vec::new());
        let of = async |address: &str, fails: Option<i32>| {
            tried.lock().unwrap().clear();
            let bound = by(address.parse().unwrap(), |address| {
                tried.lock().unwrap().push(address.to_string());
                let failure = fails.filter(|_| address.is_ipv6()).map(io::Error::from_raw_os_error);
                async move { failure.map_or(Ok(address.to_string()), Err) }
            });
            (bound.await.ok(), tried.lock().unwrap().len())
        };
        // EAFNOSUPPORT, EADDRNOTAVAIL: what the kernel says without IPv6; EADDRINUSE.
        for (address, fails, bound, tries) in [
            ("[::]:80", None, Some("[::]:80"), 1),
            ("[::]:80", Some(97), Some("0.0.0.0:80"), 2),
            ("[::]:80", Some(99), Some("0.0.0.0:80"), 2),
            ("[::]:80", Some(98), None, 1),
            ("[::1]:80", Some(97), None, 1),
            ("127.0.0.1:80", Some(97), Some("127.0.0.1:80"), 1),
        ] {
            assert_eq!(of(address, fails).await, (bound.map(str::to_owned), tries), "{address} {fails:?}");
        }
    }
}
